"""The files with the secrets of a stack's readers."""

from __future__ import annotations

from pulumi import Output

from infra import render
from infra.components.host import Host
from infra.components.secrets import ReaderSecrets, Secrets, SecretsArgs
from infra.desired import READERS, reader_revision, tls_files
from infra.migrator import SECRETS
from infra.names import DATA_ROLES
from infra.settings import Settings

TLS_QUERY = f"?sslmode=verify-full&sslrootcert={SECRETS}/postgres_ca.crt"
REDIS_TLS_QUERY = f"?ssl_cert_reqs=required&ssl_check_hostname=true&ssl_ca_certs={SECRETS}/redis_ca.crt"


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
                    files=content | {path: value[it] for path, it in tls_files(settings, reader).items()},
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
