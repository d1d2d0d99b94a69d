"""A lab: a disposable Debian 13 server in a container of this machine, reached over SSH like any other.

What one is made of, decided without asking anybody; `infra.operate.lab_engine` makes, starts and removes it.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.errors import Exit, GadError
from infra.names import LABEL_DATA_CLASS, LABEL_PREFIX, LABEL_ROLE
from infra.ssh import SshAccess

ADDRESS = "127.0.0.1"
USER = "root"
FOLDER = Path(".gad/lab")
LABEL_LAB = "gad.lab"  # the lab's name
LABEL_CHECKOUT = "gad.lab.checkout"  # whose it is: two checkouts on one engine do not see each other's
REGISTRY_ALIAS = "gad-registry"  # as config/images/lab/gad-registry@.service looks it up
NAME = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")  # also a host name
# Chosen: easy to remember, and away from the ports of a real sshd and of the stacks.
FIRST_PORT, PORTS = 2222, 100
# Above the port of SSH: where a stack on the lab answers, by the same numbers inside and outside, so that its
# URLs and checks are right in both. 2222 → https://localhost:3222.
HTTPS_ABOVE, HTTP_ABOVE = 1000, 2000
# Proven to be what systemd and dockerd need inside; `--privileged` asks for more than some machines may give.
CAPABILITIES = (
    *("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "NET_RAW", "SYSLOG", "AUDIT_CONTROL", "MKNOD"),
    # Not SYS_TIME: the clock is this machine's, and `timedatectl set-timezone` can move it by hours.
    *("DAC_READ_SEARCH", "SYS_NICE", "IPC_LOCK", "SYS_BOOT"),
)


@dataclass(frozen=True)
class KeyPair:
    """An Ed25519 key as OpenSSH writes it; `public` is type and key."""

    private: str = field(repr=False)
    public: str


@dataclass(frozen=True)
class LabName:
    """The name of a lab and of all that belongs to it, on an engine that other checkouts use as well."""

    name: str
    root: Path

    @property
    def prefix(self) -> str:
        """Name of its container and network, such as `gad-lab-3f9a1c-demo`."""
        checkout = hashlib.sha256(str(self.root).encode()).hexdigest()[:6]
        return f"gad-lab-{checkout}-{self.name}"

    @property
    def volume(self) -> str:
        """Volume of /var/lib/docker: overlay cannot lie on the overlay of a container."""
        return f"{self.prefix}-docker"

    @property
    def folder(self) -> Path:
        """Where its keys are."""
        return self.root / FOLDER / self.name

    @property
    def labels(self) -> Mapping[str, str]:
        """By these it is found again, and only by its own checkout."""
        return {
            LABEL_LAB: self.name,
            LABEL_CHECKOUT: str(self.root),
            LABEL_PREFIX: self.prefix,
            LABEL_ROLE: "lab",
            LABEL_DATA_CLASS: "internal",
        }


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A lab that exists."""

    name: LabName
    state: str  # in the engine's words: running, exited, …
    port: int  # of SSH, on loopback
    address: str | None  # its own, in the engine's network; none while it is stopped
    host_key: str | None  # none if its files were lost

    @property
    def access(self) -> SshAccess:
        """How it is reached. Raises GadError if its files were lost."""
        if self.host_key is None:
            raise GadError(
                f"the keys of lab {self.name.name} are no longer in {FOLDER / self.name.name}",
                remedy=f"gad lab down {self.name.name}, then make it again",
            )
        return SshAccess(
            address=ADDRESS,
            port=self.port,
            user=USER,
            host_key=self.host_key,
            private_key_file=str(self.name.folder / "id_ed25519"),
        )

    @property
    def row(self) -> Mapping[str, object]:
        """For programs: the fields of `gad lab list --json`."""
        return {
            "name": self.name.name,
            "state": self.state,
            "ssh_address": ADDRESS,
            "ssh_port": self.port,
            "https_port": self.port + HTTPS_ABOVE,
            "http_port": self.port + HTTP_ABOVE,
            "user": USER,
            "host_key": self.host_key,
            "private_key_file": str(self.name.folder / "id_ed25519"),
            "address": self.address,
            "container": self.name.prefix,
        }


def lab_name(name: str, root: Path) -> LabName:
    """The name, checked. Raises GadError."""
    if not NAME.fullmatch(name):
        raise GadError(
            f"{name!r} cannot be the name of a lab",
            remedy="use at most 32 of a-z 0-9 -, beginning with a letter",
            exit_code=Exit.USAGE,
        )
    return LabName(name, root)


def candidates(wanted: int | None, held: Collection[int]) -> Iterator[int]:
    """SSH ports to try: the wanted one and no other, else those that no lab of this checkout holds."""
    if wanted is not None:
        yield wanted
        return
    yield from (port for port in range(FIRST_PORT, FIRST_PORT + PORTS) if port not in held)


def make_key() -> KeyPair:
    """A new key without a passphrase."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return KeyPair(private.decode(), public.decode())


def options(name: LabName, port: int) -> dict[str, Any]:
    """How the container is created, in the words of docker-py."""
    https, http = port + HTTPS_ABOVE, port + HTTP_ABOVE
    return {
        "name": name.prefix,
        "hostname": name.name,
        "labels": dict(name.labels),
        "network": name.prefix,
        "ports": {
            "22/tcp": (ADDRESS, port),
            **{f"{https}/{protocol}": (ADDRESS, https) for protocol in ("tcp", "udp")},  # udp: HTTP/3
            f"{http}/tcp": (ADDRESS, http),
        },
        "cap_add": list(CAPABILITIES),
        "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
        "cgroupns": "private",
        # As systemd mounts them on a machine; the engine's own defaults would add noexec to /run and /tmp.
        "tmpfs": {"/run": "exec,mode=755", "/run/lock": "mode=1777", "/tmp": "exec,mode=1777"},  # noqa: S108
        "volumes": {name.volume: {"bind": "/var/lib/docker", "mode": "rw"}},
    }


def files_inside(login: KeyPair, host: KeyPair, registry_port: int) -> bytes:
    """A tar archive of what only this lab has: who may sign in, who it is, where the registry is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, mode, text in (
            ("root/.ssh/authorized_keys", 0o600, f"{login.public}\n"),
            ("etc/ssh/ssh_host_ed25519_key", 0o600, host.private),
            ("etc/ssh/ssh_host_ed25519_key.pub", 0o644, f"{host.public}\n"),
        ):
            member = tarfile.TarInfo(path)
            member.mode, member.size = mode, len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        units = "etc/systemd/system"
        enabled = tarfile.TarInfo(f"{units}/sockets.target.wants/gad-registry@{registry_port}.socket")
        enabled.type, enabled.linkname = tarfile.SYMTYPE, f"/{units}/gad-registry@.socket"
        archive.addfile(enabled)
    return buffer.getvalue()


def files_outside(name: LabName, port: int, login: KeyPair, host: KeyPair) -> Mapping[str, str]:
    """Name → content of what lies in the lab's folder; readable for its owner only."""
    known_hosts = name.folder / "known_hosts"
    return {
        "id_ed25519": login.private,
        "id_ed25519.pub": f"{login.public}\n",
        "known_hosts": f"[{ADDRESS}]:{port} {host.public}\n",
        "ssh_config": f"Host {name.name}\n"
        f"  HostName {ADDRESS}\n"
        f"  Port {port}\n"
        f"  User {USER}\n"
        f'  IdentityFile "{name.folder / "id_ed25519"}"\n'
        "  IdentitiesOnly yes\n"
        f'  UserKnownHostsFile "{known_hosts}"\n'
        "  GlobalKnownHostsFile /dev/null\n"
        "  StrictHostKeyChecking yes\n"
        "  UpdateHostKeys no\n",
        "stack.yaml": snippet(name, port, login=login.public, host=host.public),
    }


def snippet(name: LabName, port: int, *, login: str, host: str) -> str:
    """The parts of a stack file, below `config:`, that make this lab ready, deploy to it and have its web
    ports. `login` and `host` are the public keys of who signs in and of the lab."""
    return (
        "  grupo-gad:server:\n"
        "    kind: existing\n"
        f"    address: {ADDRESS}\n"
        f"    port: {port}\n"
        "    user: deploy\n"
        f"    host_key: {host}\n"
        f"    private_key_file: {name.folder / 'id_ed25519'}\n"
        "    hardening:\n"
        "      os: debian-13\n"
        f"      first_user: {USER}\n"
        f"      first_port: {port}\n"
        "      sshd_port: 22\n"
        f"      deploy_keys: [{login}]\n"
        "  grupo-gad:proxy:\n"
        "    site: localhost\n"
        "    tls: internal\n"
        "    bind: 0.0.0.0\n"
        f"    https_port: {port + HTTPS_ABOVE}\n"
        f"    http_port: {port + HTTP_ABOVE}\n"
    )


def pinned(known_hosts: str) -> str | None:
    """The host key in the text of a known_hosts file; None if there is none."""
    words = known_hosts.split()
    return " ".join(words[1:3]) if len(words) >= 3 else None
