"""The whole stack: the only file that knows all components and their order."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import pulumi
from pulumi import Output
from pydantic import ValidationError

from infra import render
from infra.components import api
from infra.components.api import ApiSlot, ApiSlotArgs, ReleaseDir, ReleaseDirArgs, Route, RouteArgs
from infra.components.container import Declared
from infra.components.declaration import Declaration
from infra.components.host import Host, HostArgs, connect
from infra.components.images import Images, ImagesArgs
from infra.components.migration import Migration, MigrationArgs
from infra.components.network import Network, NetworkArgs
from infra.components.postgres import Postgres, PostgresArgs
from infra.components.proxy import Proxy, ProxyArgs
from infra.components.redis import Redis, RedisArgs
from infra.components.secrets import ReaderSecrets, Secrets, SecretsArgs
from infra.components.server import Server, ServerArgs
from infra.errors import Exit, GadError
from infra.host.revision import revision
from infra.names import Names
from infra.release import SLOTS, Plan, Recorded, Slot, SlotName, plan_release
from infra.settings import ROOT, Settings

SECRETS = "/run/gad/secrets"
TURN = "route-turn"
STATE_READS = 10  # chosen: a write of the state takes milliseconds
STATE_READ_PAUSE_S = 0.2
API_SECRETS = ("database_url", "redis_url", "jwt_secret", "hmac_key", "kek")


class Outputs(TypedDict):
    """What the stack exports for people."""

    url: str
    live: Output[str]
    image: str


class Facts(TypedDict):
    """What was declared; verification and every `gad` command read this, not the settings."""

    stack: str
    environment: str
    prefix: str
    server: dict[str, object] | None  # how it is reached; None for this machine
    url: str
    http_url: str
    site: str
    tls: str
    hsts: bool
    postgres_tls: bool
    release: dict[str, object]
    containers: dict[str, Declared]
    networks: dict[str, dict[str, object]]
    volumes: dict[str, str]
    images: dict[str, str]


def build(settings: Settings, recorded: Recorded | None) -> Outputs:
    """Declare everything, in the order it must come up; `recorded` is what the last release left."""
    file, names = settings.file, names_of(settings)
    server = _server(settings)
    host = connect(_host_args(settings), ready=server.ready if server is not None else None)
    network = Network("network", NetworkArgs(host=host, names=names, subnet=settings.subnet))
    plan = plan_release(desired_slot(settings), recorded)
    secrets = _secrets(settings, host)
    images = Images("images", ImagesArgs(host=host, digests=settings.images))

    db_files = render.postgres_files(
        memory_mib=file.postgres.memory_mib,
        max_connections=file.postgres.max_connections,
        subnet=network.subnets["data"],
        roles=("gad_owner", "gad_app"),
        tls=file.postgres.tls,
    )
    database = Postgres(
        "postgres",
        PostgresArgs(
            host=host,
            names=names,
            image=settings.images["postgres"],
            network=network.data,
            host_dir=settings.host_dir,
            config=_archive(db_files),
            config_revision=render.revision(db_files),
            secrets=secrets.readers["postgres"],
            memory_mib=file.postgres.memory_mib,
            cpus=file.postgres.cpus,
            pids=file.postgres.pids,
            needs=(images.pulled["postgres"],),
        ),
    )
    redis_files = render.redis_files(maxmemory_mib=file.redis.maxmemory_mib)
    cache = Redis(
        "redis",
        RedisArgs(
            host=host,
            names=names,
            image=settings.images["redis"],
            network=network.data,
            host_dir=settings.host_dir,
            config=_archive(redis_files),
            config_revision=render.revision(redis_files),
            secrets=secrets.readers["redis"],
            memory_mib=file.redis.memory_mib,
            cpus=file.redis.cpus,
            pids=file.redis.pids,
            needs=(images.pulled["redis"],),
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
            needs=(database.server, images.pulled["app"]),
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
                needs=(
                    *(network.data, network.edge, release_dir, secrets.readers["api"]),
                    *(images.pulled["app"], schema, cache.server),
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
            needs=(network.edge, network.egress, images.pulled["caddy"]),
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
        _facts(
            settings,
            plan.recorded,
            containers={
                "postgres": database.declared,
                "redis": cache.declared,
                **{f"api-{name}": slot.declared for name, slot in slots.items()},
                "proxy": edge.declared,
            },
            network=network,
        ),
    )
    return Outputs(
        url=f"https://{_authority(settings)}",
        live=route.turned.apply(lambda _: plan.live),
        image=plan.slot(plan.live).image,
    )


def names_of(settings: Settings) -> Names:
    """The physical names of a stack."""
    return Names(stack=settings.stack, prefix=settings.prefix)


def desired_slot(settings: Settings) -> Slot:
    """What the stack file asks of the API: the thing a release is about."""
    file = settings.file
    secrets_dir = f"{settings.host_dir}/secrets/api/{_reader_revision(settings, 'api')}"
    url = f"https://{_authority(settings)}"
    envs = {
        "GAD_ALLOWED_HOSTS": file.proxy.site,
        "GAD_ALLOWED_ORIGINS": url,
        "GAD_DB_POOL": f"{file.api.db_pool}+0",
        "GAD_ENV": file.environment,
        "GAD_JWT_AUDIENCE": f"gad-{settings.stack}",
        "GAD_JWT_ISSUER": url,
        "GAD_LOG_LEVEL": file.api.log_level,
        "GAD_TRUSTED_PROXIES": str(next(settings.subnet.subnets(new_prefix=24))),
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
    )


def _is_kept(slot: SlotName, plan: Plan, recorded: Recorded | None) -> bool:
    """Whether this update must leave the slot's container alone, whatever the code now makes of it.

    The live one always. An idle one only if its form is older than what this code can declare: else
    its container is put right, for a failed release may have left another version in it.
    """
    if recorded is None:
        return False
    return slot == recorded.live or plan.slot(slot).form != api.FORM


def last_release(stack: str) -> Recorded | None:
    """What the last turn of the route left in both slots; None before the first.

    The engine reads it from the stack's own state: known at preview too, and the same whoever runs it.
    A plain value, so that which resources exist never hangs on an `apply`. The route's command holds it
    as its input, so it is recorded exactly when the route has turned.
    """
    name = f"organization/{pulumi.get_project()}/{stack}"
    for urn, resource in _resource_outputs(name).items():
        if urn.rsplit("::", 1)[-1] == TURN:
            return parse_recorded(resource["outputs"]["stdin"])
    return None


def _resource_outputs(name: str) -> dict[str, dict[str, dict[str, str]]]:
    # The engine writes its state while the program runs, and a file backend does not do it in one step:
    # a read that meets a half-written file is made again.
    for left in reversed(range(STATE_READS)):
        try:
            answer = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": name})
        except Exception as error:  # the SDK raises no narrower kind
            if left == 0 or "failed to load checkpoint" not in str(error):
                raise
            time.sleep(STATE_READ_PAUSE_S)
        else:
            outputs: dict[str, dict[str, dict[str, str]]] = answer.value["outputs"]
            return outputs
    raise AssertionError("unreachable")


def parse_recorded(text: str) -> Recorded:
    """The recorded release out of the route's input; raises GadError if it is not readable."""
    try:
        return Recorded.model_validate_json(text)
    except ValidationError as error:
        raise GadError(
            f"the recorded release is not readable: {error.errors()[0]['msg']}",
            remedy=f"export the stack with `pulumi stack export`, correct stdin of {TURN}, import it",
            exit_code=Exit.REFUSED,
        ) from None


def _server(settings: Settings) -> Server | None:
    """The server made ready, where the stack file asks for it."""
    file = settings.file
    if file.server.hardening is None:
        return None
    stated = file.server.model_dump_json(exclude={"private_key_file"})
    told = f"{stated} {settings.http_port} {settings.https_port}"
    # It starts in the program's folder or in the project's; an absolute path would be this machine's.
    order = f"test -x bin/gad || cd ..; exec bin/gad host apply {settings.stack}"
    return Server("host", ServerArgs(order=order, revision=revision(ROOT, told)))


def _host_args(settings: Settings) -> HostArgs | None:
    access = settings.file.server.access
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


# Which secrets each reader's files are made of. A reader gets nothing else.
READERS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("superuser_password", "owner_password", "app_password"),
    "redis": ("redis_password",),
    "migration": ("owner_password",),
    "api": ("app_password", "redis_password", "jwt_secret", "hmac_key", "kek"),
}


# With postgres.tls, further files of each reader and the secret that is in them. The certificate signed
# itself, so that whoever connects trusts it and nothing else.
TLS_FILES: Mapping[str, Mapping[str, str]] = {
    "postgres": {"server.crt": "postgres_tls_certificate", "server.key": "postgres_tls_key"},
    "migration": {"postgres_ca.crt": "postgres_tls_certificate"},
    "api": {"postgres_ca.crt": "postgres_tls_certificate"},
}
TLS_QUERY = f"?sslmode=verify-full&sslrootcert={SECRETS}/postgres_ca.crt"


def _tls_files(settings: Settings, reader: str) -> Mapping[str, str]:
    return TLS_FILES.get(reader, {}) if settings.file.postgres.tls else {}


def _reader_revision(settings: Settings, reader: str) -> str:
    return settings.revision(*READERS[reader], *_tls_files(settings, reader).values())


def _secrets(settings: Settings, host: Host) -> Secrets:
    value = {
        name: Output.secret(secret.get_secret_value())
        for name, secret in settings.file.secrets
        if secret is not None
    }
    query = TLS_QUERY if settings.file.postgres.tls else ""
    files: dict[str, dict[str, Output[str]]] = {
        "postgres": {name: value[name] for name in READERS["postgres"]},
        "redis": {"users.acl": value["redis_password"].apply(render.redis_accounts)},
        "migration": {"migration_url": _database_url("gad_owner", value["owner_password"], query)},
        "api": {
            "database_url": _database_url("gad_app", value["app_password"], query),
            "redis_url": Output.concat("redis://gad:", value["redis_password"], "@redis:6379/0"),
            **{name: value[name] for name in ("jwt_secret", "hmac_key", "kek")},
        },
    }
    return Secrets(
        "secrets",
        SecretsArgs(
            host=host,
            host_dir=settings.host_dir,
            readers={
                reader: ReaderSecrets(
                    files=content | {path: value[it] for path, it in _tls_files(settings, reader).items()},
                    revision=_reader_revision(settings, reader),
                )
                for reader, content in files.items()
            },
            pack=render.archive,
        ),
    )


def _database_url(role: str, password: Output[str], query: str) -> Output[str]:
    return Output.concat(f"postgresql://{role}:", password, f"@postgres:5432/gad{query}")


def _archive(files: tuple[render.Rendered, ...]) -> str:
    return render.archive({file.path: file.text for file in files})


def _authority(settings: Settings) -> str:
    site = settings.file.proxy.site
    return site if settings.https_port == 443 else f"{site}:{settings.https_port}"


def _facts(
    settings: Settings,
    recorded: Recorded,
    *,
    containers: dict[str, Declared],
    network: Network,
) -> Facts:
    file, names, access = settings.file, names_of(settings), settings.file.server.access
    return Facts(
        stack=settings.stack,
        environment=file.environment,
        prefix=settings.prefix,
        server=asdict(access) if access is not None else None,
        url=f"https://{_authority(settings)}",
        http_url=f"http://{file.proxy.site}:{settings.http_port}",
        site=file.proxy.site,
        tls=file.proxy.tls,
        hsts=file.proxy.hsts,
        postgres_tls=file.postgres.tls,
        release=recorded.model_dump(mode="json"),
        containers=containers,
        networks={
            role: {"name": names.network(role), "internal": role != "egress", "subnet": str(subnet)}
            for role, subnet in network.subnets.items()
        },
        volumes={role: names.volume(role) for role in ("postgres", "redis", "proxy")},
        images=dict(settings.images),
    )
