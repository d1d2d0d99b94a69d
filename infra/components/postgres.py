"""PostgreSQL with PostGIS, and the volume its data lives on."""

from __future__ import annotations

from pulumi import ResourceOptions

from infra.components.container import Health
from infra.components.service import Form, Service, StoreArgs
from infra.names import DATA_PORTS

UID = 10070
PORT = DATA_PORTS["postgres"]


class Postgres(Service):
    """The database server, reachable as `postgres:5432` on the data network.

    Its configuration is postgresql.conf and pg_hba.conf.
    """

    def __init__(self, name: str, args: StoreArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:data:Postgres", name, None, opts)
        form = Form(
            role="postgres",
            data_class="personal",
            uid=UID,
            networks=(args.network_role,),
            config_at="/etc/gad/postgres",
            data_at="/var/lib/postgresql",
            mounts=(args.secrets_mount,),
            tmpfs=("/run/postgresql", "/tmp"),  # noqa: S108  (inside the container)
            workdir="/var/lib/postgresql",
            health=Health(test=("CMD", "gad-postgres-health"), start_period_s=60),
            grace_s=60,  # a fast shutdown writes a checkpoint of all shared buffers
            shm_mib=max(64, args.memory_mib // 8),  # parallel queries share memory there
            ports=args.publishes(PORT),
            needs=(args.network, args.secrets),
        )
        self._run(name, args, form)
