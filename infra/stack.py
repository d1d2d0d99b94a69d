"""The whole stack: the only file that knows all components and their order."""

from __future__ import annotations

from typing import TypedDict

from pulumi import Output
from pulumi_docker import RemoteImage

from infra import render
from infra.components import api
from infra.components.api import ApiSlot, ApiSlotArgs, ReleaseDir, ReleaseDirArgs, Route, RouteArgs
from infra.components.declaration import Declaration
from infra.components.images import Images, ImagesArgs
from infra.components.migration import Migration, MigrationArgs
from infra.components.network import Network, NetworkArgs, StoreNetwork, StoreNetworkArgs
from infra.components.postgres import Postgres
from infra.components.proxy import Proxy, ProxyArgs
from infra.components.redis import Redis, RedisArgs
from infra.components.service import StoreArgs
from infra.last_release import last_release, parse_recorded
from infra.migrator import SECRETS
from infra.names import DATA_ROLES, part_of
from infra.release import SLOTS, Plan, Recorded, Slot, SlotName, plan_release
from infra.settings import Settings
from infra.stack_facts import authority, facts, names_of
from infra.stack_secrets import READERS, reader_revision, secret_files
from infra.stack_servers import Machines, database_users, reach_of_data, servers

__all__ = [
    "API_SECRETS",
    "READERS",
    "Outputs",
    "build",
    "desired_slot",
    "last_release",
    "names_of",
    "parse_recorded",
]

API_SECRETS = ("database_url", "redis_url", "jwt_secret", "hmac_key", "kek")


class Outputs(TypedDict):
    """What the stack exports for people."""

    url: str
    live: Output[str]
    image: str


def build(settings: Settings, recorded: Recorded | None) -> Outputs:
    """Declare everything, in the order it must come up; `recorded` is what the last release left."""
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
    plan = plan_release(desired_slot(settings), recorded)
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
    schema = Migration(
        "migration",
        MigrationArgs(
            host=host,
            names=names,
            image=settings.images["app"],
            envs={"GAD_MIGRATION_URL_FILE": f"{SECRETS}/migration_url"},
            secrets=secrets.readers["migration"],
            needs=(database.server, pulled["app"], *((network.data,) if machines.are_two else ())),
            hosts=dict(hosts),
        ),
    )
    release_dir = ReleaseDir("release", ReleaseDirArgs(host=host, path=f"{settings.host_dir}/release"))
    slots = {
        slot: ApiSlot(
            f"api-{slot}",
            ApiSlotArgs(
                host=host,
                names=names,
                slot=slot,
                image=plan.slot(slot).image,
                envs=dict(plan.slot(slot).envs),
                secrets_dir=plan.slot(slot).secrets_dir,
                release_dir=release_dir.path,
                memory_mib=plan.slot(slot).memory_mib,
                cpus=plan.slot(slot).cpus,
                pids=plan.slot(slot).pids,
                keep=_is_kept(slot, plan, recorded),
                hosts=plan.slot(slot).hosts,
                needs=(
                    *(network.data, network.edge, release_dir, secrets.readers["api"]),
                    *(pulled["app"], schema, cache.server),
                ),
            ),
        )
        for slot in SLOTS
    }
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
    route = Route(
        "route",
        RouteArgs(
            host=host,
            names=names,
            release_dir=release_dir,
            live=plan.live,
            record=plan.recorded.model_dump_json(),
            needs=(*(slot.server for slot in slots.values()), edge.server),
        ),
    )
    Declaration(
        "declared",
        facts(
            settings,
            plan.recorded,
            containers={
                "postgres": database.declared,
                "redis": cache.declared,
                **{f"api-{name}": slot.declared for name, slot in slots.items()},
                "proxy": edge.declared,
            },
            networks=(network,) if store is None else (network, store),
        ),
    )
    return Outputs(
        url=f"https://{authority(settings)}",
        live=route.turned.apply(lambda _: plan.live),
        image=plan.slot(plan.live).image,
    )


def desired_slot(settings: Settings) -> Slot:
    """What the stack file asks of the API: the thing a release is about."""
    file = settings.file
    secrets_dir = f"{settings.host_dir}/secrets/api/{reader_revision(settings, 'api')}"
    url = f"https://{authority(settings)}"
    envs = {
        "GAD_ALLOWED_HOSTS": file.proxy.site,
        "GAD_ALLOWED_ORIGINS": url,
        "GAD_DB_POOL": f"{file.api.db_pool}+0",
        "GAD_ENV": file.environment,
        "GAD_JWT_AUDIENCE": f"gad-{settings.stack}",
        "GAD_JWT_ISSUER": url,
        "GAD_LOG_LEVEL": file.api.log_level,
        "GAD_TRUSTED_PROXIES": str(part_of(settings.subnet, "edge")),
        "GAD_TZ": file.api.timezone,
        **{f"GAD_RATE_{name.upper()}": str(limit) for name, limit in file.api.rate_limits.stated.items()},
        **{f"GAD_{name.upper()}_FILE": f"{SECRETS}/{name}" for name in API_SECRETS},
    }
    return Slot(
        image=settings.images["app"],
        envs=tuple(sorted(envs.items())),
        secrets_dir=secrets_dir,
        memory_mib=file.api.memory_mib,
        cpus=file.api.cpus,
        pids=file.api.pids,
        form=api.FORM,
        hosts=reach_of_data(settings)[1],
    )


def _is_kept(slot: SlotName, plan: Plan, recorded: Recorded | None) -> bool:
    """Whether this update must leave the slot's container alone, whatever the code now makes of it.

    The live one always. An idle one only if its form is older than what this code can declare: else
    its container is put right, for a failed release may have left another version in it.
    """
    if recorded is None:
        return False
    return slot == recorded.live or plan.slot(slot).form != api.FORM


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
