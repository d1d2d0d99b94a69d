"""What a stack was declared to be, read back from its state: what verification and status go by."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import GadError
from infra.names import DATA_ROLES
from infra.release import Recorded
from infra.ssh import SshAccess

_PORT = re.compile(r"(?P<ip>[0-9.]+):(?P<external>\d+)->(?P<internal>\d+)/(?P<protocol>tcp|udp)")


class _Exported(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MountDeclared(_Exported):
    """A directory of the host, or a volume, inside a container."""

    source: str
    target: str
    kind: Literal["bind", "volume"]
    read_only: bool


class PortDeclared(_Exported):
    """A published port: where the host listens, and what it leads to."""

    ip: str
    external: int
    internal: int
    protocol: Literal["tcp", "udp"]

    def __str__(self) -> str:
        return f"{self.ip}:{self.external}->{self.internal}/{self.protocol}"

    @classmethod
    def parse(cls, text: str) -> PortDeclared:
        """Read `ip:external->internal/protocol`. Raises ValueError."""
        match = _PORT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a published port")
        return cls.model_validate(match.groupdict())


class ContainerDeclared(_Exported):
    """A container as the program declared it."""

    name: str
    image: str  # name@sha256:…
    uid: int
    labels: dict[str, str]
    networks: tuple[str, ...]
    mounts: tuple[MountDeclared, ...]
    envs: tuple[str, ...]
    ports: tuple[str, ...]
    memory_mib: int
    cpus: str
    pids: int

    @property
    def published(self) -> tuple[PortDeclared, ...]:
        """Its published ports."""
        return tuple(PortDeclared.parse(port) for port in self.ports)


class NetworkDeclared(_Exported):
    """A network as the program declared it."""

    name: str
    internal: bool
    subnet: IPv4Network


class StackOutputs(_Exported):
    """The facts `infra/stack.py` leaves in the state; none is secret. A stack without parts is refused."""

    stack: str
    environment: Literal["dev", "staging", "production"]
    prefix: str
    server: SshAccess | None = None  # how it is reached; None for this machine, and then not in the state
    data_server: SshAccess | None = None  # the one of PostgreSQL and Redis; None: the same machine
    url: str
    http_url: str
    site: str
    tls: Literal["internal", "acme"]
    hsts: bool
    postgres_tls: bool
    redis_tls: bool = False
    release: Recorded
    containers: dict[str, ContainerDeclared] = Field(min_length=1)
    networks: dict[str, NetworkDeclared] = Field(min_length=1)
    volumes: dict[str, str] = Field(min_length=1)
    images: dict[str, str] = Field(min_length=1)

    @property
    def address(self) -> str:
        """Where the machine that runs the stack is reached."""
        return "127.0.0.1" if self.server is None else self.server.address

    @property
    def servers(self) -> tuple[SshAccess | None, ...]:
        """Each machine that runs something of the stack; None is this one."""
        return (self.server,) if self.data_server is None else (self.server, self.data_server)

    def server_of(self, role: str) -> SshAccess | None:
        """The machine that runs the container of this role; None is this one."""
        return self.data_server if self.data_server and role in DATA_ROLES else self.server

    @property
    def data_hosts(self) -> dict[str, str]:
        """Name to address of what the application reaches on the other server; empty if there is none."""
        found = {role: self.containers[role].published for role in DATA_ROLES if role in self.containers}
        return {role: ports[0].ip for role, ports in found.items() if ports}

    def hosts_of(self, role: str) -> dict[str, str]:
        """Name to address of what the container of this role is told of the other server."""
        return self.data_hosts if role.startswith("api-") else {}

    @property
    def live(self) -> str:
        """Role of the container that is to be in rotation."""
        return f"api-{self.release.live}"


def read_outputs(stack: str, outputs: dict[str, object]) -> StackOutputs:
    """The facts of a stack. Raises GadError if there are none, or if they are another form."""
    if not outputs:
        raise GadError(
            f"nothing of stack {stack} is declared: no update of it has begun",
            remedy=f"run `gad up {stack}`",
        )
    try:
        return StackOutputs.model_validate(outputs)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise GadError(
            f"{key} in the state of stack {stack} is not what this checkout declares: {first['msg']}",
            remedy=f"bring the stack to this checkout's form with `gad up {stack}`",
        ) from None
