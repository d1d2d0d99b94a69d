"""What a stack file asks for, as far as a release goes by it: plain values, no resources. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from infra.migrator import SECRETS
from infra.names import DATA_ROLES, Names, part_of
from infra.release import Slot
from infra.settings import Settings

# Raise it when the container's form in components/api.py changes: a new form reaches people by a release.
FORM = 2
API_SECRETS = ("database_url", "redis_url", "jwt_secret", "hmac_key", "kek")

# Which secrets each reader's files are made of. A reader gets nothing else.
READERS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("superuser_password", "owner_password", "app_password"),
    "redis": ("redis_password",),
    "migration": ("owner_password",),
    "api": ("app_password", "redis_password", "jwt_secret", "hmac_key", "kek"),
}


# With postgres.tls or redis.tls, further files of each reader and the secret that is in them. The certificate
# signed itself, so that whoever connects trusts it and nothing else.
TLS_FILES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "postgres": {
        "postgres": {"server.crt": "postgres_tls_certificate", "server.key": "postgres_tls_key"},
        "migration": {"postgres_ca.crt": "postgres_tls_certificate"},
        "api": {"postgres_ca.crt": "postgres_tls_certificate"},
    },
    "redis": {
        "redis": {"server.crt": "redis_tls_certificate", "server.key": "redis_tls_key"},
        "api": {"redis_ca.crt": "redis_tls_certificate"},
    },
}


def tls_files(settings: Settings, reader: str) -> Mapping[str, str]:
    """Files of this reader for encryption, and the secret that is in each."""
    found: dict[str, str] = {}
    for server, is_encrypted in (
        ("postgres", settings.file.postgres.tls),
        ("redis", settings.file.redis.tls),
    ):
        if is_encrypted:
            found |= TLS_FILES[server].get(reader, {})
    return found


def reader_revision(settings: Settings, reader: str) -> str:
    """A name for what this reader's files are made of."""
    return settings.revision(*READERS[reader], *tls_files(settings, reader).values())


def reach_of_data(settings: Settings) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    """The address where PostgreSQL and Redis are published, and by which names the application knows it.

    By name, because their certificates are for the names `postgres` and `redis`. Nothing with one server,
    whose data network knows them.
    """
    data = settings.file.data_server
    if data is None:
        return None, ()
    address = str(data.private_address)
    return address, tuple((role, address) for role in sorted(DATA_ROLES))


def names_of(settings: Settings) -> Names:
    """The physical names of a stack."""
    return Names(stack=settings.stack, prefix=settings.prefix)


def authority(settings: Settings) -> str:
    """The site as people type it, with its port if that is not 443."""
    site = settings.file.proxy.site
    return site if settings.https_port == 443 else f"{site}:{settings.https_port}"


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
        form=FORM,
        hosts=reach_of_data(settings)[1],
    )
