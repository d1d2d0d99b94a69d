"""What a stack file asks of its server, as a plan for `infra.operate.host`. Needs no secret and no state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from infra.errors import Exit, GadError
from infra.host.controls import load
from infra.host.plan import HostPlan, OpenPort
from infra.operate import host, stack_file
from infra.operate.host import HostResult
from infra.operate.place import server_of
from infra.settings import HTTP_PORT, HTTPS_PORT
from infra.ssh import SshAccess

# Keys of a stack file behind fields of a plan that are named otherwise.
_KEYS = {"deploy_user": "server.user", "ssh_port": "server.port", "base_dir": "server.base_dir"}


@dataclass(frozen=True)
class ServerPlan:
    """One server: how it is reached when it is ready, how it was handed over, and what it is to be."""

    access: SshAccess
    first: SshAccess
    plan: HostPlan


def plan_of(root: Path, stack: str) -> ServerPlan:
    """The plan of a stack's server. Raises GadError if the stack file asks for none, or is wrong."""
    server = server_of(root, stack)
    source = stack_file.path_of(root, stack).name
    access, wanted = server.access, server.hardening
    if access is None or wanted is None:
        raise GadError(
            f"{source} asks for no hardening of a server",
            remedy="state server.hardening in it; config/stack.schema.json lists its keys",
            exit_code=Exit.USAGE,
        )
    try:
        plan = HostPlan(
            os=wanted.os,
            deploy_user=server.user,
            deploy_keys=wanted.deploy_keys,
            deploy_from=wanted.deploy_from,
            ssh_port=wanted.sshd_port or server.port,
            open_ports=_open_ports(stack_file.read(root, stack).get("proxy")),
            base_dir=server.base_dir,
            values=load(root, today=datetime.now(UTC).date()).values_for(wanted.os),
        )
    except ValidationError as error:
        first = error.errors()[0]
        field, *rest = (str(part) for part in first["loc"])
        key = ".".join([_KEYS.get(field, f"server.hardening.{field}"), *rest])
        raise GadError(
            f"{key}: {first['msg']} ({source})", remedy=f"correct {source}", exit_code=Exit.USAGE
        ) from None
    handed_over = replace(access, user=wanted.first_user, port=wanted.first_port)
    return ServerPlan(access, handed_over, plan)


def apply(root: Path, stack: str, *, dry: bool = False) -> HostResult:
    """Make a stack's server ready; with `dry` only say what differs. Raises GadError."""
    asked = plan_of(root, stack)
    return host.apply(root, asked.access, asked.plan, first=asked.first, dry=dry)


def is_ready(root: Path, stack: str) -> bool:
    """Whether the deploy user reaches an engine there. Raises GadError if nobody we know is let in."""
    asked = plan_of(root, stack)
    return host.reachable(asked.access, asked.first) == asked.access and host.has_engine(asked.access)


def _open_ports(proxy: object) -> tuple[OpenPort, ...]:
    """Those of the proxy: HTTP, HTTPS and HTTP/3."""
    stated = proxy if isinstance(proxy, dict) else {}
    http, https = stated.get("http_port", HTTP_PORT), stated.get("https_port", HTTPS_PORT)
    return (
        OpenPort(port=http, protocol="tcp"),
        OpenPort(port=https, protocol="tcp"),
        OpenPort(port=https, protocol="udp"),
    )
