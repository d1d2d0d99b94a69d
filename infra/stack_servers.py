"""The machines of a stack: one, or one for the application and one for PostgreSQL and Redis."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from infra.components.host import Host, HostArgs, connect
from infra.components.server import Server, ServerArgs
from infra.host.revision import revision
from infra.server_section import Server as ServerSection
from infra.settings import ROOT, Settings


@dataclass(frozen=True)
class Machines:
    """Where the application runs, and where PostgreSQL and Redis do: the same one unless there are two."""

    app: Host
    data: Host

    @property
    def are_two(self) -> bool:
        """Whether a network is between them."""
        return self.app is not self.data


def servers(settings: Settings) -> Machines:
    """The machines as resources, each made ready first where the stack file asks for it."""
    file = settings.file
    web = f"{settings.http_port} {settings.https_port}"
    # It starts in the program's folder or in the project's; an absolute path would be this machine's.
    order = f"test -x bin/gad || cd ..; exec bin/gad host apply {settings.stack}"
    if file.data_server is None:
        app = _machine(file.server, order, f"{_stated(file.server)} {web}", "host", "server")
        return Machines(app, app)
    between = f"{file.data_server.private_address} {file.data_server.app_address} {settings.subnet}"
    told = f"{_stated(file.server)} {web} {between}"
    data_told = f"{_stated(file.data_server)} {between}"
    return Machines(
        app=_machine(file.server, f"{order} --role app", told, "host", "server"),
        data=_machine(file.data_server, f"{order} --role data", data_told, "data-host", "data-server"),
    )


def database_users(settings: Settings, network: IPv4Network) -> IPv4Network:
    """From where accounts of the application may come to PostgreSQL: its network, or the other server."""
    data = settings.file.data_server
    return network if data is None else IPv4Network(data.app_address)


def _stated(server: ServerSection) -> str:
    return server.model_dump_json(exclude={"private_key_file"})


def _machine(server: ServerSection, order: str, told: str, name: str, provider: str) -> Host:
    made = None
    if server.hardening is not None:
        made = Server(name, ServerArgs(order=order, revision=revision(ROOT, told)))
    return connect(_host_args(server), ready=made.ready if made is not None else None, name=provider)


def _host_args(server: ServerSection) -> HostArgs | None:
    access = server.access
    if access is None:
        return None
    key = Path(access.private_key_file).expanduser() if access.private_key_file else None
    return HostArgs(
        address=access.address,
        port=access.port,
        user=access.user,
        host_key=access.host_key,
        private_key=key.read_text(encoding="utf-8") if key else None,
        url=access.url,
        ssh_options=access.options,
    )
