"""What a stack file asks of its server, as a plan for `infra.operate.host`. Needs no secret and no state."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from infra.errors import Exit, GadError
from infra.host.controls import load
from infra.host.plan import Confined, HostPlan, OpenPort
from infra.names import DATA_PORTS, part_of
from infra.operate import host, stack_file
from infra.operate.host import HostResult
from infra.operate.place import data_server_of, server_of
from infra.settings import HTTP_PORT, HTTPS_PORT, DataServer
from infra.ssh import SshAccess

# Keys of a stack file behind fields of a plan that are named otherwise.
_KEYS = {"deploy_user": "user", "ssh_port": "port", "base_dir": "base_dir"}
Role = Literal["app", "data"]
SECTION: dict[Role, str] = {"app": "server", "data": "data_server"}  # of a stack file


@dataclass(frozen=True)
class ServerPlan:
    """One server: how it is reached when it is ready, how it was handed over, and what it is to be."""

    access: SshAccess
    first: SshAccess
    plan: HostPlan


def roles_of(root: Path, stack: str) -> tuple[Role, ...]:
    """One for each server of a stack; `app` is the first and, without a data server, the only one."""
    return ("app",) if data_server_of(root, stack) is None else ("app", "data")


def plan_of(root: Path, stack: str, role: Role = "app") -> ServerPlan:
    """The plan of one of a stack's servers. Raises GadError if the stack file asks for none, or is wrong."""
    data = data_server_of(root, stack)
    section = SECTION[role]
    server = server_of(root, stack) if role == "app" else data
    source = stack_file.path_of(root, stack).name
    access = server.access if server is not None else None
    wanted = server.hardening if server is not None else None
    if server is None or access is None or wanted is None:
        raise GadError(
            f"{source} asks for no hardening of a {section.replace('_', ' ')}",
            remedy=f"state {section}.hardening in it; config/stack.schema.json lists its keys",
            exit_code=Exit.USAGE,
        )
    try:
        plan = HostPlan(
            os=wanted.os,
            deploy_user=server.user,
            deploy_keys=wanted.deploy_keys,
            deploy_from=wanted.deploy_from,
            ssh_port=wanted.sshd_port or server.port,
            open_ports=_data_ports(data)
            if role == "data" and data is not None
            else _open_ports(stack_file.read(root, stack).get("proxy")),
            confined=_confined(root, stack, role, data),
            roles=("app", "data") if data is None else (role,),
            base_dir=server.base_dir,
            syslog_to=wanted.syslog_to,
            values=load(root, today=datetime.now(UTC).date()).values_for(wanted.os),
        )
    except ValidationError as error:
        first = error.errors()[0]
        field, *rest = (str(part) for part in first["loc"])
        key = ".".join([section, _KEYS.get(field, f"hardening.{field}"), *rest])
        raise GadError(
            f"{key}: {first['msg']} ({source})", remedy=f"correct {source}", exit_code=Exit.USAGE
        ) from None
    handed_over = replace(access, user=wanted.first_user, port=wanted.first_port)
    return ServerPlan(access, handed_over, plan)


def apply(root: Path, stack: str, *, dry: bool = False, role: Role | None = None) -> HostResult:
    """Make a stack's servers ready, or the one of `role`; with `dry` only say what differs. Raises GadError.

    Two at the same time, since neither needs the other; what they report is one result, whose operations
    begin with the server's role.
    """
    wanted = roles_of(root, stack) if role is None else (role,)
    asked = [plan_of(root, stack, each) for each in wanted]
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        running = [
            pool.submit(host.apply, root, each.access, each.plan, first=each.first, dry=dry) for each in asked
        ]
    if len(running) == 1:
        return running[0].result()
    done = dict(zip(wanted, (each.result() for each in running), strict=True))
    return HostResult(
        dry=dry,
        operations=sum(each.operations for each in done.values()),
        changed=tuple(f"{name}: {one}" for name, each in done.items() for one in each.changed),
        conditional=tuple(f"{name}: {one}" for name, each in done.items() for one in each.conditional),
    )


def is_ready(root: Path, stack: str) -> bool:
    """Whether the deploy user reaches an engine on each server. Raises GadError if one lets nobody in."""
    asked = [plan_of(root, stack, role) for role in roles_of(root, stack)]
    return all(
        host.reachable(each.access, each.first) == each.access and host.has_engine(each.access)
        for each in asked
    )


def _data_ports(data: DataServer) -> tuple[OpenPort, ...]:
    """Those of PostgreSQL and Redis, for the other server and nobody else."""
    only = (IPv4Network(data.app_address),)
    return tuple(OpenPort(port=port, protocol="tcp", come_from=only) for port in DATA_PORTS.values())


def _confined(root: Path, stack: str, role: Role, data: DataServer | None) -> tuple[Confined, ...]:
    """The networks that lead out of a server only because there are two: as closed as one server's are."""
    if data is None:
        return ()
    network = stack_file.read(root, stack).get("network")
    stated = network.get("subnet") if isinstance(network, dict) else None
    try:
        subnet = IPv4Network(str(stated))
        api, store = part_of(subnet, "data"), part_of(subnet, "store")
    except (ValueError, IndexError):
        raise GadError(
            "network.subnet is no /22, which a stack on two servers needs",
            remedy="state one that nothing on the servers uses, 10.88.0.0/22 for example",
            exit_code=Exit.USAGE,
        ) from None
    if role == "data":
        return (Confined(subnet=store),)
    return (Confined(subnet=api, address=data.private_address, ports=tuple(DATA_PORTS.values())),)


def _open_ports(proxy: object) -> tuple[OpenPort, ...]:
    """Those of the proxy: HTTP, HTTPS and HTTP/3."""
    stated = proxy if isinstance(proxy, dict) else {}
    http, https = stated.get("http_port", HTTP_PORT), stated.get("https_port", HTTPS_PORT)
    return (
        OpenPort(port=http, protocol="tcp"),
        OpenPort(port=https, protocol="tcp"),
        OpenPort(port=https, protocol="udp"),
    )
