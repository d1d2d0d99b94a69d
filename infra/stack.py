"""The whole stack: the only file that knows all components and their order."""

from __future__ import annotations

from typing import TypedDict

from pulumi import Output
from pulumi_docker import RemoteImage

from infra import render
from infra.components import api
from infra.components.backup import Backup, BackupArgs
from infra.components.declaration import Declaration
from infra.components.images import Images, ImagesArgs
from infra.components.migration import Migration, MigrationArgs
from infra.components.network import Network, NetworkArgs, StoreNetwork, StoreNetworkArgs
from infra.components.postgres import Postgres
from infra.components.proxy import Proxy, ProxyArgs
from infra.components.redis import Redis, RedisArgs
from infra.components.service import StoreArgs
from infra.desired import authority, names_of, reach_of_data
from infra.last_release import last_release, parse_recorded
from infra.migrator import SECRETS
from infra.names import DATA_ROLES
from infra.release import SLOTS, Attempt, Recorded
from infra.settings import Settings
from infra.stack_facts import facts
from infra.stack_release import planned, release, scratch
from infra.stack_secrets import secret_files
from infra.stack_servers import Machines, database_users, servers

__all__ = ["Outputs", "build", "last_release", "parse_recorded"]


KEPT_DUMPS = 3  # chosen: of the last releases; a plan of backups is more than that


class Outputs(TypedDict):
    """What the stack exports for people."""

    url: str
    live: Output[str]
    image: str


def build(settings: Settings, recorded: Recorded | None, attempt: Attempt, *, back: bool = False) -> Outputs:
    """Declare everything, in the order it must come up; `recorded` is what the last release left.

    `back`: the version before is wanted, whatever the stack file says. Raises GadError if there is none.
    """
    file, names = settings.file, names_of(settings)
    machines = servers(settings)
    host, data = machines.app, machines.data
    network = Network(
        "network",
        NetworkArgs(host=host, names=names, subnet=settings.subnet, leads_out=machines.are_two),
    )
    store = (
        StoreNetwork("data-network", StoreNetworkArgs(host=data, names=names, subnet=settings.subnet))
        if machines.are_two
        else None
    )
    stored = network.data if store is None else store.store
    listen_at, hosts = reach_of_data(settings)
    plan = planned(settings, recorded, attempt, back=back)
    secrets = secret_files(settings, app=host, data=data)
    pulled = _images(settings, machines)

    db_files = render.postgres_files(
        memory_mib=file.postgres.memory_mib,
        max_connections=file.postgres.max_connections,
        subnet=database_users(settings, network.subnets["data"]),
        roles=("gad_owner", "gad_app"),
        tls=file.postgres.tls,
    )
    database = Postgres(
        "postgres",
        StoreArgs(
            host=data,
            names=names,
            image=settings.images["postgres"],
            network=stored,
            network_role="data" if store is None else "store",
            host_dir=settings.data_dir,
            config=_archive(db_files),
            config_revision=render.revision(db_files),
            secrets=secrets.readers["postgres"],
            memory_mib=file.postgres.memory_mib,
            cpus=file.postgres.cpus,
            pids=file.postgres.pids,
            needs=(pulled["postgres"],),
            publish_at=listen_at,
        ),
    )
    redis_files = render.redis_files(maxmemory_mib=file.redis.maxmemory_mib, tls=file.redis.tls)
    cache = Redis(
        "redis",
        RedisArgs(
            host=data,
            names=names,
            image=settings.images["redis"],
            network=stored,
            network_role="data" if store is None else "store",
            host_dir=settings.data_dir,
            config=_archive(redis_files),
            config_revision=render.revision(redis_files),
            secrets=secrets.readers["redis"],
            memory_mib=file.redis.memory_mib,
            cpus=file.redis.cpus,
            pids=file.redis.pids,
            needs=(pulled["redis"],),
            publish_at=listen_at,
            tls=file.redis.tls,
        ),
    )
    is_settled = recorded is not None and plan.migrated_image == recorded.migrated_image
    dump = Backup(
        "backup",
        BackupArgs(
            host=data,
            names=names,
            directory=f"{settings.data_dir}/backup",
            key=f"{plan.attempt.id} {plan.migrated_image}",
            is_settled=is_settled,
            keep=KEPT_DUMPS,
            needs=(database.server,),
        ),
    )
    schema = Migration(
        "migration",
        MigrationArgs(
            host=host,
            names=names,
            image=plan.migrated_image,
            envs={"GAD_MIGRATION_URL_FILE": f"{SECRETS}/migration_url"},
            secrets=secrets.readers["migration"],
            needs=(
                *(database.server, pulled["app"], *((network.data,) if machines.are_two else ())),
                *(cache.server, secrets.readers["api"]),  # a rehearsal starts both once more
            ),
            hosts=dict(hosts),
            key=plan.attempt.id,
            is_settled=is_settled,
            backup=dump,
            scratch=None
            if machines.are_two
            else scratch(settings, recorded, secrets, postgres=database.config_dir, redis=cache.config_dir),
            contract=file.release.contract,
        ),
    )
    site_files = render.caddy_files(
        site=file.proxy.site,
        tls=file.proxy.tls,
        acme_email=file.proxy.acme_email,
        public_port=settings.https_port,
        hsts=file.proxy.hsts,
        upstreams=tuple(f"api-{slot}:{api.PORT}" for slot in SLOTS),
    )
    edge = Proxy(
        "proxy",
        ProxyArgs(
            host=host,
            names=names,
            image=settings.images["caddy"],
            host_dir=settings.host_dir,
            config=_archive(site_files),
            config_revision=render.revision(site_files),
            bind=str(file.proxy.bind),
            https_port=settings.https_port,
            http_port=settings.http_port,
            memory_mib=file.proxy.memory_mib,
            cpus=file.proxy.cpus,
            pids=file.proxy.pids,
            needs=(network.edge, network.egress, pulled["caddy"]),
        ),
    )
    released = release(
        settings,
        plan,
        recorded,
        host=host,
        needs=(network.data, network.edge, secrets.readers["api"], pulled["app"], schema, cache.server),
        proxy=edge.server,
    )
    Declaration(
        "declared",
        facts(
            settings,
            plan.recorded,
            containers={
                "postgres": database.declared,
                "redis": cache.declared,
                **{f"api-{name}": slot.declared for name, slot in released.slots.items()},
                "proxy": edge.declared,
            },
            networks=(network,) if store is None else (network, store),
        ),
    )
    return Outputs(
        url=f"https://{authority(settings)}",
        live=released.done.apply(lambda _: plan.live),
        image=plan.slot(plan.live).image,
    )


def _images(settings: Settings, machines: Machines) -> dict[str, RemoteImage]:
    """Each image where it runs."""
    if not machines.are_two:
        return Images("images", ImagesArgs(host=machines.app, digests=settings.images)).pulled
    parts: dict[bool, dict[str, str]] = {False: {}, True: {}}
    for name, digest in settings.images.items():
        parts[name in DATA_ROLES][name] = digest
    return (
        Images("images", ImagesArgs(host=machines.app, digests=parts[False])).pulled
        | Images("data-images", ImagesArgs(host=machines.data, digests=parts[True])).pulled
    )


def _archive(files: tuple[render.Rendered, ...]) -> str:
    return render.archive({file.path: file.text for file in files})
