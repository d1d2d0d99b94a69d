"""The servers of a stack file: where containers run, and what an update makes of a bare one. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from infra.sections import Port, Section
from infra.ssh import SshAccess

SYSTEMS = ("debian-13", "ubuntu-24.04")
PUBLIC_KEY = re.compile(r"(ssh-ed25519|sk-ssh-ed25519@openssh\.com|ssh-rsa) [A-Za-z0-9+/]+=*( [^\n\"]*)?")


def _system(value: object) -> object:
    if value not in SYSTEMS:
        raise ValueError(f"{value!r} is not supported; put {' or '.join(SYSTEMS)} on the server")
    return value


def _public_key(value: str) -> str:
    # The value is not shown: who mistakes one file for another may have pasted the private key.
    if not PUBLIC_KEY.fullmatch(value):
        raise ValueError(
            "is no OpenSSH public key; wanted is a line as in authorized_keys, type, key and comment, of "
            "Ed25519 (ssh-ed25519 AAAA…) or RSA (ssh-rsa AAAA…): the content of a file that ends in .pub"
        )
    return value


DeployKey = Annotated[str, AfterValidator(_public_key)]


class Hardening(Section):
    """What an update makes of a bare server before anything runs on it."""

    os: Annotated[Literal["debian-13", "ubuntu-24.04"], BeforeValidator(_system)] = Field(
        description="its operating system; another is refused"
    )
    first_user: str = Field(default="root", description="the account a new machine is handed over with")
    first_port: Port = Field(default=22, description="its SSH port as it is handed over")
    sshd_port: Port | None = Field(
        default=None, description="what sshd listens on, where that is not server.port (a port is forwarded)"
    )
    deploy_keys: tuple[DeployKey, ...] = Field(
        min_length=1, description="public keys that may sign in as server.user, as in authorized_keys"
    )
    deploy_from: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="from where; empty: from anywhere"
    )
    syslog_to: str | None = Field(
        default=None,
        pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\]):[1-9][0-9]{0,4}$",
        description="host:port of a receiver of its log, by TCP in clear text: only over a private network",
    )


class Server(Section):
    """Where the containers run."""

    kind: Literal["local", "existing"] = Field(
        description="local: this machine's Docker engine; existing: a server reached over SSH"
    )
    hardening: Hardening | None = Field(
        default=None, description="make the server ready; without it, it is taken as it is"
    )
    address: str | None = Field(default=None, description="host name or address of an existing server")
    port: Port = Field(default=22, description="its SSH port")
    user: str = Field(default="deploy", description="the account that may use Docker there")
    host_key: str | None = Field(
        default=None,
        pattern=r"^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/=]+$",
        description="its pinned public host key, `ssh-keyscan -t ed25519 HOST` without the host",
    )
    private_key_file: str | None = Field(
        default=None,
        pattern=r"^(~/|/)[^\n]+$",
        description="path of the SSH private key, absolute or from ~/; without it the agent's keys are tried",
    )
    base_dir: str = Field(
        default="/opt/grupogad",
        pattern=r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$",
        description="absolute path where the stack's files live on the server; the account may write there",
    )

    @model_validator(mode="after")
    def _existing_is_complete(self) -> Self:
        if self.kind == "existing":
            missing = [key for key in ("address", "host_key") if getattr(self, key) is None]
            if missing:
                raise ValueError(f"kind existing needs {' and '.join(missing)}")
        if self.kind == "local" and self.hardening is not None:
            raise ValueError("hardening is for a server; this machine is left as it is")
        return self

    @property
    def access(self) -> SshAccess | None:
        """How the server is reached; None for this machine."""
        if self.kind == "local" or self.address is None or self.host_key is None:
            return None
        return SshAccess(
            address=self.address,
            port=self.port,
            user=self.user,
            host_key=self.host_key,
            private_key_file=self.private_key_file,
        )


class DataServer(Server):
    """A second server, which runs PostgreSQL and Redis; `server` then runs all else."""

    kind: Literal["local", "existing"] = Field(
        default="existing", description="existing, a server reached over SSH; it cannot be this machine"
    )
    private_address: IPv4Address = Field(
        description="its address between the two servers, where PostgreSQL and Redis listen"
    )
    app_address: IPv4Address = Field(
        description="the address that `server` comes from there; nobody else is let in"
    )

    @model_validator(mode="after")
    def _is_closed_to_others(self) -> Self:
        if self.kind == "local":
            raise ValueError("kind local is for server; a data server is reached over SSH")
        if self.hardening is None:
            raise ValueError("hardening is missing: only a hardened data server is closed to others")
        for name in ("private_address", "app_address"):
            address = getattr(self, name)
            if address.is_loopback or address.is_unspecified or address.is_multicast:
                raise ValueError(f"{name} {address} is no address between two servers")
        if self.private_address == self.app_address:
            raise ValueError(f"private_address and app_address are both {self.app_address}")
        return self
