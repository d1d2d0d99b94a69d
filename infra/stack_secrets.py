"""Which secrets a stack's readers get, and in which files."""

from __future__ import annotations

from collections.abc import Mapping

from pulumi import Output

from infra import render
from infra.components.host import Host
from infra.components.secrets import ReaderSecrets, Secrets, SecretsArgs
from infra.migrator import SECRETS
from infra.names import DATA_ROLES
from infra.settings import Settings

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
TLS_QUERY = f"?sslmode=verify-full&sslrootcert={SECRETS}/postgres_ca.crt"
REDIS_TLS_QUERY = f"?ssl_cert_reqs=required&ssl_check_hostname=true&ssl_ca_certs={SECRETS}/redis_ca.crt"


def _tls_files(settings: Settings, reader: str) -> Mapping[str, str]:
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
    return settings.revision(*READERS[reader], *_tls_files(settings, reader).values())


def secret_files(settings: Settings, *, app: Host, data: Host) -> Secrets:
    """The files of all readers, each on its machine: `data` has those of PostgreSQL and Redis."""
    value = {
        name: Output.secret(secret.get_secret_value())
        for name, secret in settings.file.secrets
        if secret is not None
    }
    query = TLS_QUERY if settings.file.postgres.tls else ""
    scheme, redis_query = ("rediss", REDIS_TLS_QUERY) if settings.file.redis.tls else ("redis", "")
    files: dict[str, dict[str, Output[str]]] = {
        "postgres": {name: value[name] for name in READERS["postgres"]},
        "redis": {"users.acl": value["redis_password"].apply(render.redis_accounts)},
        "migration": {"migration_url": _database_url("gad_owner", value["owner_password"], query)},
        "api": {
            "database_url": _database_url("gad_app", value["app_password"], query),
            "redis_url": Output.concat(
                f"{scheme}://gad:", value["redis_password"], f"@redis:6379/0{redis_query}"
            ),
            **{name: value[name] for name in ("jwt_secret", "hmac_key", "kek")},
        },
    }
    return Secrets(
        "secrets",
        SecretsArgs(
            readers={
                reader: ReaderSecrets(
                    files=content | {path: value[it] for path, it in _tls_files(settings, reader).items()},
                    revision=reader_revision(settings, reader),
                    host=data if reader in DATA_ROLES else app,
                    host_dir=settings.data_dir if reader in DATA_ROLES else settings.host_dir,
                )
                for reader, content in files.items()
            },
            pack=render.archive,
        ),
    )


def _database_url(role: str, password: Output[str], query: str) -> Output[str]:
    return Output.concat(f"postgresql://{role}:", password, f"@postgres:5432/gad{query}")
