"""Redis: cache, rate limits and event streams, kept across restarts by its append-only file."""

from __future__ import annotations

from dataclasses import dataclass

from pulumi import ResourceOptions

from infra.components.container import Health
from infra.components.service import Form, Service, StoreArgs
from infra.names import DATA_PORTS

UID = 10071
PORT = DATA_PORTS["redis"]
# As gad-redis-health of the image, which speaks clear text: an answer is all that a probe can get.
TLS_HEALTH = (
    *("CMD", "sh", "-c"),
    "case $(redis-cli -t 2 --tls --cacert /run/gad/secrets/server.crt ping 2>&1) in "
    "PONG | NOAUTH*) ;; *) exit 1 ;; esac",
)


@dataclass(frozen=True, kw_only=True)
class RedisArgs(StoreArgs):
    """The accounts are among the secrets."""

    tls: bool


class Redis(Service):
    """The Redis server, reachable as `redis:6379` on the data network by the account `gad` only.

    Its configuration is redis.conf.
    """

    def __init__(self, name: str, args: RedisArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:data:Redis", name, None, opts)
        form = Form(
            role="redis",
            data_class="internal",
            uid=UID,
            networks=(args.network_role,),
            config_at="/etc/gad/redis",
            data_at="/var/lib/redis",
            mounts=(args.secrets_mount,),
            tmpfs=("/tmp",),  # noqa: S108  (inside the container)
            workdir="/var/lib/redis",
            health=Health(test=TLS_HEALTH if args.tls else ("CMD", "gad-redis-health")),
            grace_s=30,  # a stop flushes the append-only file
            ports=args.publishes(PORT),
            needs=(args.network, args.secrets),
        )
        self._run(name, args, form)
