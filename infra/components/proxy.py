"""Caddy: the only container that publishes ports."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi_docker as docker
from pulumi import ComponentResource, Resource, ResourceOptions

from infra.components.container import (
    ContainerArgs,
    Declared,
    Health,
    Mount,
    Port,
    declared,
    hardened_container,
)
from infra.components.files import HostFiles, HostFilesArgs
from infra.components.host import Host
from infra.components.volume import data_volume
from infra.names import Names

UID = 10072
HTTP_PORT = 8080  # inside; unprivileged, so that no capability is needed
HTTPS_PORT = 8443
HEALTH_PORT = 8081


@dataclass(frozen=True, kw_only=True)
class ProxyArgs:
    """`config` is the archive of the Caddyfile, named by `config_revision`."""

    host: Host
    names: Names
    image: str
    host_dir: str
    config: str
    config_revision: str
    bind: str
    https_port: int
    http_port: int
    memory_mib: int
    cpus: str
    pids: int
    needs: tuple[Resource, ...]


class Proxy(ComponentResource):
    """TLS, HTTP/2 and HTTP/3, compression, security headers; both slots are always configured."""

    server: docker.Container
    declared: Declared

    def __init__(self, name: str, args: ProxyArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:edge:Proxy", name, None, opts)
        volume = data_volume(
            f"{name}-data", args.host, args.names, role="proxy", parent=self, data_class="internal"
        )
        config = HostFiles(
            f"{name}-config",
            HostFilesArgs(
                host=args.host,
                parent_dir=f"{args.host_dir}/config/proxy",
                revision=args.config_revision,
                archive=args.config,
                secret=False,
            ),
            opts=ResourceOptions(parent=self),
        )
        container = ContainerArgs(
            host=args.host,
            name=args.names.container("proxy"),
            image=args.image,
            uid=UID,
            labels=args.names.labels("proxy", "internal"),
            networks=((args.names.network("edge"), "proxy"), (args.names.network("egress"), "proxy")),
            mounts=(
                Mount(kind="bind", source=config.path, target="/etc/gad/caddy"),
                Mount(kind="volume", source=args.names.volume("proxy"), target="/data", read_only=False),
            ),
            tmpfs=("/config", "/tmp"),  # noqa: S108  (inside the container)
            workdir="/config",
            health=Health(test=("CMD", "gad-probe", str(HEALTH_PORT), "/health")),
            memory_mib=args.memory_mib,
            cpus=args.cpus,
            pids=args.pids,
            grace_s=15,  # longer than grace_period in the Caddyfile
            ports=(
                Port(ip=args.bind, external=args.http_port, internal=HTTP_PORT),
                Port(ip=args.bind, external=args.https_port, internal=HTTPS_PORT),
                Port(ip=args.bind, external=args.https_port, internal=HTTPS_PORT, protocol="udp"),
            ),
        )
        self.declared = declared(container)
        self.server = hardened_container(
            f"{name}-server", container, parent=self, depends_on=[volume, config, *args.needs]
        )
        self.register_outputs({})
