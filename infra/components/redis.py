"""Redis: cache, rate limits and event streams, kept across restarts by its append-only file."""

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

UID = 10071
PORT = DATA_PORTS["redis"]
# As gad-redis-health of the image, which speaks clear text: an answer is all that a probe can get.
TLS_HEALTH = (
    *("CMD", "sh", "-c"),
    "case $(redis-cli -t 2 --tls --cacert /run/gad/secrets/server.crt ping 2>&1) in "
    "PONG | NOAUTH*) ;; *) exit 1 ;; esac",
)


@dataclass(frozen=True, kw_only=True)
class RedisArgs:
    """`config` is the archive of redis.conf; the accounts are among the secrets."""

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
    tls: bool


class Redis(ComponentResource):
    """The Redis server, reachable as `redis:6379` on the data network by the account `gad` only."""

    server: docker.Container
    declared: Declared

    def __init__(self, name: str, args: RedisArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:data:Redis", name, None, opts)
        volume = data_volume(
            f"{name}-data", args.host, args.names, role="redis", parent=self, data_class="internal"
        )
        config = HostFiles(
            f"{name}-config",
            HostFilesArgs(
                host=args.host,
                parent_dir=f"{args.host_dir}/config/redis",
                revision=args.config_revision,
                archive=args.config,
                secret=False,
            ),
            opts=ResourceOptions(parent=self),
        )
        container = ContainerArgs(
            host=args.host,
            name=args.names.container("redis"),
            image=args.image,
            uid=UID,
            labels=args.names.labels("redis", "internal"),
            networks=((args.names.network(args.network_role), "redis"),),
            mounts=(
                Mount(kind="bind", source=config.path, target="/etc/gad/redis"),
                Mount(kind="bind", source=args.secrets.path, target="/run/gad/secrets"),
                Mount(
                    kind="volume", source=args.names.volume("redis"), target="/var/lib/redis", read_only=False
                ),
            ),
            tmpfs=("/tmp",),  # noqa: S108  (inside the container)
            workdir="/var/lib/redis",
            health=Health(test=TLS_HEALTH if args.tls else ("CMD", "gad-redis-health")),
            memory_mib=args.memory_mib,
            cpus=args.cpus,
            pids=args.pids,
            grace_s=30,  # a stop flushes the append-only file
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
