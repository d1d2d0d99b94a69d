"""What a deploy needs to know: the desired state of one server, and how it is reached. No secret is in it."""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import GadError
from infra.host.controls import Os, Values

# Shells that let nobody in; `sync` only writes to disk.
CLOSED_SHELLS = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync")
VARIABLE = "GAD_HOST_RUN"  # path of the JSON file of a HostRun, for the process that runs pyinfra
ENDED = "the connection ended, or the server did"  # what that process says of it, in its log

Port = Annotated[int, Field(ge=1, le=65535)]
Account = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
PublicKey = Annotated[
    str, Field(pattern=r"^(ssh-ed25519|sk-ssh-ed25519@openssh\.com|ssh-rsa) [A-Za-z0-9+/=]+( [^\n\"]*)?$")
]


# Who takes its log, `host:port` by TCP: a name, an IPv4 address, or an IPv6 address in brackets.
Receiver = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\]):[1-9][0-9]{0,4}$")]


class OpenPort(BaseModel):
    """A port that may be reached, by everybody or from some addresses only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: Port
    protocol: Literal["tcp", "udp"]
    come_from: tuple[IPv4Network | IPv6Network, ...] = ()  # empty: everybody


class Confined(BaseModel):
    """Containers of one network that may begin connections to each other and these places, nowhere else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subnet: IPv4Network
    address: IPv4Address | None = None  # None: to no place
    ports: tuple[Port, ...] = ()  # TCP, there


class HostPlan(BaseModel):
    """The desired state of one server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    os: Os
    deploy_user: Account
    deploy_keys: tuple[PublicKey, ...] = Field(min_length=1)
    # From where the deploy user may come; empty: from anywhere.
    deploy_from: tuple[IPv4Network | IPv6Network, ...] = ()
    ssh_port: Port  # what sshd listens on
    open_ports: tuple[OpenPort, ...]  # beside SSH
    confined: tuple[Confined, ...] = ()
    roles: tuple[str, ...] = ()
    timezone: str = "Etc/UTC"
    base_dir: str = "/opt/grupogad"
    syslog_to: Receiver | None = None
    values: Values


class Reach(BaseModel):
    """How the server is reached in this run. Keys are paths; nothing here is secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    port: Port  # of this run, as seen from here
    user: Account
    private_key_file: str | None  # without it the agent's keys are tried
    known_hosts_file: str
    # A fresh login of the deploy user, as arguments before the remote command: as sshd is reached now, and
    # once it has this plan's port. No connection is shared, so each proves that one can still sign in.
    login_now: tuple[str, ...]
    login_planned: tuple[str, ...]


class HostRun(BaseModel):
    """One run of pyinfra on one server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: HostPlan
    reach: Reach
    dry: bool = False  # it only looks


def read_run() -> HostRun:
    """The run this process was started for. Raises GadError if it was not, or its file is wrong."""
    path = os.environ.get(VARIABLE)
    if path is None:
        raise GadError(f"{VARIABLE} names no file", remedy="start pyinfra by infra.operate.host")
    try:
        return HostRun.model_validate_json(Path(path).read_bytes())
    except (OSError, ValidationError) as error:
        raise GadError(f"{VARIABLE} {path}: {error}", remedy="start pyinfra by infra.operate.host") from None
