"""PostgreSQL with PostGIS, and the volume its data lives on."""

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
from infra.names import DATA_PORTS, Names

UID = 10070
PORT = DATA_PORTS["postgres"]


@dataclass(frozen=True, kw_only=True)
class PostgresArgs:
    """`config` is the archive of postgresql.conf and pg_hba.conf, named by `config_revision`."""

    host: Host
    names: Names
    image: str
    network: docker.Network
    network_role: str
    host_dir: str
    config: str
    config_revision: str
    secrets: HostFiles
    memory_mib: int
    cpus: str
    pids: int
    needs: tuple[Resource, ...]
    publish_at: str | None  # the address where another server reaches it; None: on its network only


class Postgres(ComponentResource):
    """The database server, reachable as `postgres:5432` on the data network."""

    server: docker.Container
    declared: Declared

    def __init__(self, name: str, args: PostgresArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:data:Postgres", name, None, opts)
        volume = data_volume(f"{name}-data", args.host, args.names, role="postgres", parent=self)
        config = HostFiles(
            f"{name}-config",
            HostFilesArgs(
                host=args.host,
                parent_dir=f"{args.host_dir}/config/postgres",
                revision=args.config_revision,
                archive=args.config,
                secret=False,
            ),
            opts=ResourceOptions(parent=self),
        )
        container = ContainerArgs(
            host=args.host,
            name=args.names.container("postgres"),
            image=args.image,
            uid=UID,
            labels=args.names.labels("postgres", "personal"),
            networks=((args.names.network(args.network_role), "postgres"),),
            mounts=(
                Mount(kind="bind", source=config.path, target="/etc/gad/postgres"),
                Mount(kind="bind", source=args.secrets.path, target="/run/gad/secrets"),
                Mount(
                    kind="volume",
                    source=args.names.volume("postgres"),
                    target="/var/lib/postgresql",
                    read_only=False,
                ),
            ),
            tmpfs=("/run/postgresql", "/tmp"),  # noqa: S108  (inside the container)
            workdir="/var/lib/postgresql",
            health=Health(test=("CMD", "gad-postgres-health"), start_period_s=60),
            memory_mib=args.memory_mib,
            cpus=args.cpus,
            pids=args.pids,
            grace_s=60,  # a fast shutdown writes a checkpoint of all shared buffers
            shm_mib=max(64, args.memory_mib // 8),  # parallel queries share memory there
            ports=(Port(ip=args.publish_at, external=PORT, internal=PORT),) if args.publish_at else (),
        )
        self.declared = declared(container)
        self.server = hardened_container(
            f"{name}-server",
            container,
            parent=self,
            depends_on=[args.network, volume, config, args.secrets, *args.needs],
        )
        self.register_outputs({})
