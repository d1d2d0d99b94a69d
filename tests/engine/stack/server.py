"""A server for a stack: sshd with a Docker client, in the name spaces of this machine and beside its engine.

As on a machine of one's own: an account without root that may use Docker, a folder that it owns, and sudo
for the one command that looks at the firewall. Its files have the same path inside and outside, so that the
engine finds what is written there over SSH.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.engine.conformance.sshd import await_ssh, sshd_image, throwaway_key
from tests.ports import free_port

SOCKET = "/var/run/docker.sock"
ACCOUNT, UID = "deploy", 2000
PACKAGES = ("docker-cli", "iptables", "sudo")
SUDOERS = f"{ACCOUNT} ALL=(root) NOPASSWD: /usr/sbin/iptables -S\n"


@dataclass(frozen=True)
class Server:
    """The running server: how it is reached, and where its account may write."""

    container: Container
    port: int
    host_key: str
    private_key_file: Path
    base_dir: Path

    def home(self) -> dict[str, bytes]:
        """The files in the account's home folder: name to content."""
        chunks, _ = self.container.get_archive(f"/home/{ACCOUNT}")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            files = [member for member in archive.getmembers() if member.isfile()]
            return {Path(each.name).name: _read(archive, each) for each in files}


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(member)
    return content.read() if content is not None else b""


@contextmanager
def server(client: docker.DockerClient, folder: Path) -> Iterator[Server]:
    """Start it with its files below `folder`, and remove it afterwards. The image stays."""
    port = free_port()
    private, public = throwaway_key()
    host_private, host_public = throwaway_key()
    key_file, base_dir = folder / "key", folder / "srv"
    key_file.touch(mode=0o600)
    key_file.write_text(private)
    base_dir.mkdir()
    os.chown(base_dir, UID, UID)
    container = client.containers.create(
        sshd_image(client, "gad-test-server", PACKAGES),
        ["/usr/sbin/sshd", "-D", "-e", "-p", str(port), "-o", "ListenAddress=127.0.0.1"],
        name=f"gad-test-server-{os.getpid()}",
        network_mode="host",  # its ports, its firewall and its processes are those of the engine
        pid_mode="host",
        cap_add=["NET_ADMIN"],
        volumes={SOCKET: {"bind": SOCKET}, str(base_dir): {"bind": str(base_dir)}},
        labels={"gad.test": "server"},
    )
    try:
        container.put_archive("/", _archive("etc/ssh/ssh_host_ed25519_key", host_private, 0, 0o600))
        container.put_archive("/", _archive(f"etc/sudoers.d/{ACCOUNT}", SUDOERS, 0, 0o440))
        container.start()
        engine_group = Path(SOCKET).stat().st_gid
        for command in (
            f"groupadd --non-unique --gid {engine_group} engine",
            # Not locked, as an account without any password is; nobody can sign in with this one either.
            f"useradd --create-home --uid {UID} --groups engine --shell /bin/bash --password * {ACCOUNT}",
        ):
            answer = container.exec_run(command)
            assert answer.exit_code == 0, answer.output
        container.put_archive("/", _archive(f"home/{ACCOUNT}/.ssh/authorized_keys", public, UID, 0o600))
        await_ssh(port)
        yield Server(container, port, host_public, key_file, base_dir)
    finally:
        container.remove(force=True)


def _archive(path: str, text: str, owner: int, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(path)
        member.size, member.mode, member.uid, member.gid = len(text), mode, owner, owner
        archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()
