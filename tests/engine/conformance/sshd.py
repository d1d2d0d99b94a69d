"""A Debian sshd in a container, on a free loopback port, with throw-away keys and a throw-away user."""

from __future__ import annotations

import io
import json
import os
import socket
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from docker.models.containers import Container
from rich.console import Console

from infra.operate.images import rootfs
from infra.operate.images.catalogue import load_catalogue
from infra.operate.images.progress import PlainReporter

ROOT = Path(__file__).resolve().parents[3]
RECIPE = """
FROM {base}
RUN apt-get update -qq \\
 && apt-get install -yqq --no-install-recommends openssh-server{packages} \\
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \\
 && mkdir -p /run/sshd
CMD ["/usr/sbin/sshd", "-D", "-e"]
"""
# Where cases write; memory, so that nothing is left.
CASES = "/srv/cases"
USER, PASSWORD = "officer", "correct horse"
# Seconds until sshd answers: host keys are made at the start.
START_S = 20


@dataclass(frozen=True)
class SshServer:
    """The running server. `login` is how to reach its root, as the SDK spells it."""

    container: Container
    login: Mapping[str, object]

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command inside as root and return what it prints; raises when it fails."""
        script = f"printf %s {json.dumps(stdin)} | " if stdin else ""
        argv = ["sh", "-c", f'{script}"$@"', "sh", *command]
        code, output = self.container.exec_run(argv)
        if code != 0:
            raise RuntimeError(f"{' '.join(command)}: {output.decode()}")
        text: str = output.decode()
        return text

    def make_folders(self, names: Sequence[str]) -> None:
        """One empty folder per case."""
        self.run("mkdir", "-p", *(f"{CASES}/{name}" for name in names))

    def files(self) -> Mapping[str, tuple[int, str]]:
        """Mode and content of every file below `CASES`, by relative path."""
        code, packed = self.container.exec_run(["tar", "-C", CASES, "-c", "."], demux=True)
        if code != 0:
            raise RuntimeError(f"tar: {packed[1].decode()}")
        with tarfile.open(fileobj=io.BytesIO(packed[0])) as archive:
            return {
                member.name.removeprefix("./"): (member.mode, content.read().decode())
                for member in archive.getmembers()
                if (content := archive.extractfile(member)) is not None
            }


@contextmanager
def ssh_server() -> Iterator[SshServer]:
    """Start it, and remove it afterwards. The image stays: its layers are what makes the next run fast."""
    client = docker.from_env()
    try:
        image = sshd_image(client)
        container = client.containers.run(
            image,
            ["sh", "-c", "ssh-keygen -A >/dev/null && exec /usr/sbin/sshd -D -e"],
            name=f"gad-test-sshd-{os.getpid()}",
            detach=True,
            init=True,
            ports={"22/tcp": ("127.0.0.1", None)},
            tmpfs={CASES: "mode=0755"},
            labels={"gad.test": "sshd"},
        )
        try:
            yield _prepared(container)
        finally:
            container.remove(force=True)
    finally:
        client.close()


def sshd_image(client: docker.DockerClient, tag: str = "gad-test-sshd", packages: Sequence[str] = ()) -> str:
    """Id of an image with sshd and further packages of Debian, built if it is not there."""
    _, base = rootfs.provide(client, load_catalogue(ROOT).root, PlainReporter(Console(stderr=True)))
    recipe = RECIPE.format(base=base, packages="".join(f" {name}" for name in packages)).encode()
    # The network of the host: the default bridge may have no name resolution.
    image, _ = client.images.build(fileobj=io.BytesIO(recipe), tag=tag, network_mode="host", rm=True)
    return str(image.id)


def throwaway_key() -> tuple[str, str]:
    """A new Ed25519 key: the private half as OpenSSH writes it, the public one as `type key`."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()


def _prepared(container: Container) -> SshServer:
    private, public = throwaway_key()
    container.reload()
    port = int(container.ports["22/tcp"][0]["HostPort"])
    await_ssh(port)
    server = SshServer(container, {})
    server.run("mkdir", "-p", "-m", "700", "/root/.ssh")
    server.run("tee", "/root/.ssh/authorized_keys", stdin=public)
    server.run("useradd", "--create-home", USER)
    server.run("chpasswd", stdin=f"{USER}:{PASSWORD}")
    login = {
        "host": "127.0.0.1",
        "port": port,
        "user": "root",
        "private_key": private,
        "host_key": server.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub").strip(),
        "dial_error_limit": 2,
        "per_dial_timeout": 15,
    }
    return SshServer(container, login)


def await_ssh(port: int) -> None:
    """Wait until sshd answers on this loopback port; raises what the last try met."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            # Not an address to paramiko, which leaves the socket of a refused connection open.
            transport = paramiko.Transport(socket.create_connection(("127.0.0.1", port), timeout=START_S))
        except (OSError, paramiko.SSHException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
            continue
        try:
            transport.start_client(timeout=START_S)
            return
        except (EOFError, paramiko.SSHException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        finally:
            transport.close()
