"""The parts of a stack file but its servers: types of values and one model for each section. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

DIGEST = re.compile(r"^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$")
SECRET = re.compile(r"^[A-Za-z0-9_-]{32,128}$")  # URL-safe, so that it needs no quoting in a DSN
PLACEHOLDERS = ("change", "placeholder", "example", "secret", "password", "todo", "xxxx", "your-")


def _digest(value: str) -> str:
    if not DIGEST.match(value):
        kind = "a tag" if ":" in value.rsplit("/", 1)[-1] and "@" not in value else "no image digest"
        raise ValueError(f"{value!r} is {kind}; allowed is name@sha256:…, printed by `gad images list`")
    return value


def is_placeholder(text: str) -> bool:
    """Whether a secret is a word that someone meant to replace."""
    return any(word in text.lower() for word in PLACEHOLDERS)


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if is_placeholder(text):
        raise ValueError("is a placeholder, not a secret")
    if not SECRET.match(text):
        raise ValueError("must be 32 to 128 characters of A-Z a-z 0-9 _ -")
    return value


def _timezone(value: str) -> str:
    if value not in available_timezones():
        near = difflib.get_close_matches(value, available_timezones(), n=1)
        raise ValueError(f"{value!r} is no time zone" + (f"; did you mean {near[0]}?" if near else ""))
    return value


Timezone = Annotated[str, AfterValidator(_timezone)]
Digest = Annotated[str, AfterValidator(_digest)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
# Not zero, which the engine takes as no limit at all.
Cpus = Annotated[
    str,
    Field(pattern=r"^([1-9][0-9]*(\.[0-9])?|0\.[1-9])$", description='processors, such as "0.5" or "2.0"'),
]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A part of a stack file: frozen, and no key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(Section):
    """Address space of the stack's networks."""

    subnet: IPv4Network | None = Field(
        default=None,
        description="a /22 that becomes edge, data and egress; without it, the block this machine gave",
    )

    @model_validator(mode="after")
    def _is_a_22(self) -> Self:
        if self.subnet is not None and self.subnet.prefixlen != 22:
            raise ValueError(f"subnet must be a /22, {self.subnet} is a /{self.subnet.prefixlen}")
        return self


class Images(Section):
    """What is deployed: always a digest, never a tag."""

    source: Literal["local", "registry"] = Field(
        description="local: the digests that `gad images build` recorded; registry: the digests below"
    )
    app: Digest | None = Field(default=None, description="the application; the one value of a release")
    postgres: Digest | None = None
    redis: Digest | None = None
    caddy: Digest | None = None


class Postgres(Section):
    """PostgreSQL with PostGIS."""

    memory_mib: int = Field(ge=256, le=1_048_576, description="container limit; buffers follow from it")
    cpus: Cpus = "1.0"
    pids: int = Field(default=256, ge=64, le=4096)
    max_connections: int = Field(default=50, ge=20, le=1000)
    tls: bool = Field(
        default=False, description="encrypt its connections; `gad secrets init` makes the key and certificate"
    )


class Redis(Section):
    """Redis: cache, limits, event streams."""

    memory_mib: int = Field(ge=64, le=262_144, description="container limit")
    maxmemory_mib: int = Field(ge=32, le=196_608, description="what Redis may fill; leave it headroom")
    cpus: Cpus = "0.5"
    pids: int = Field(default=64, ge=32, le=1024)
    tls: bool = Field(
        default=False, description="encrypt its connections; `gad secrets init` makes the key and certificate"
    )

    @model_validator(mode="after")
    def _leaves_headroom(self) -> Self:
        # A background save forks: pages changed meanwhile are copied, so data must not fill the limit.
        if self.maxmemory_mib * 4 > self.memory_mib * 3:
            raise ValueError(
                f"maxmemory_mib {self.maxmemory_mib} leaves no headroom for saving; "
                f"at most {self.memory_mib * 3 // 4} of memory_mib {self.memory_mib}"
            )
        return self


PerMinute = Annotated[int, Field(ge=1, le=1_000_000)]


class RateLimits(Section):
    """Requests a minute, where they are to differ from the application's own."""

    anonymous: PerMinute | None = Field(default=None, description="of an address without a token")
    auth: PerMinute | None = Field(default=None, description="logins and renewals of an address")
    read: PerMinute | None = Field(default=None, description="reads of a person")
    write: PerMinute | None = Field(default=None, description="writes of a person")
    admin: PerMinute | None = Field(default=None, description="what only an administrator may, of a person")
    emergency: PerMinute | None = Field(default=None, description="emergencies of a person")
    ws: PerMinute | None = Field(default=None, description="WebSocket connections of a person")
    export: PerMinute | None = Field(default=None, description="exports of a person")

    @property
    def stated(self) -> Mapping[str, int]:
        """Those the stack file names."""
        return self.model_dump(exclude_none=True)


class Api(Section):
    """Both API slots."""

    memory_mib: int = Field(ge=128, le=65_536)
    cpus: Cpus = "1.0"
    pids: int = Field(default=128, ge=32, le=4096)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    db_pool: int = Field(default=5, ge=1, le=100, description="connections of each slot")
    timezone: Timezone = "America/Guayaquil"
    rate_limits: RateLimits = RateLimits()


class Release(Section):
    """How the API goes from one version to the next."""

    bake_s: int = Field(
        default=30, ge=1, le=3600, description="seconds for which a new version is watched, and taken back"
    )
    drain_s: int = Field(
        default=30,
        ge=1,
        le=600,
        description="seconds in which requests to the version before may end",
    )
    contract: str | None = Field(
        default=None,
        pattern=r"^\w+$",
        description="the one migration that may take something away from the version before",
    )


class Proxy(Section):
    """Caddy, the only one that publishes ports."""

    site: str = Field(
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", description="the host name people open, without a port"
    )
    tls: Literal["internal", "acme"] = Field(description="internal: Caddy's own CA; acme: a public one")
    acme_email: str | None = Field(
        default=None, pattern=r"^[^@\s]+@[^@\s]+$", description="address the public CA may write to"
    )
    bind: IPv4Address = Field(default=IPv4Address("127.0.0.1"), description="address the ports are bound to")
    https_port: Port | None = Field(default=None, description="without it, the block this machine gave")
    http_port: Port | None = Field(default=None, description="without it, the block this machine gave")
    hsts: bool = False
    memory_mib: int = Field(default=256, ge=64, le=65_536)
    cpus: Cpus = "1.0"
    pids: int = Field(default=128, ge=32, le=4096)

    @model_validator(mode="after")
    def _acme_is_complete(self) -> Self:
        if self.tls == "acme" and self.acme_email is None:
            raise ValueError("tls acme needs acme_email")
        return self


class Secrets(Section):
    """Values that reach containers as files, never as environment. `gad secrets init` makes them."""

    superuser_password: Secret = Field(description="PostgreSQL superuser; used inside its container only")
    owner_password: Secret = Field(description="owner of the schema; used by migrations")
    app_password: Secret = Field(description="the API's database account")
    redis_password: Secret = Field(description="the API's Redis account")
    jwt_secret: Secret = Field(description="signs access tokens")
    hmac_key: Secret = Field(description="look-up of personal values that are stored encrypted")
    kek: Secret = Field(description="wraps each person's data key")
    revision_key: Secret = Field(description="names a revision of the secrets without revealing them")
    postgres_tls_key: SecretStr | None = Field(
        default=None, description="private key of PostgreSQL's certificate, in PEM; for postgres.tls"
    )
    postgres_tls_certificate: SecretStr | None = Field(
        default=None, description="PostgreSQL's self-signed certificate, in PEM; for postgres.tls"
    )
    redis_tls_key: SecretStr | None = Field(
        default=None, description="private key of Redis's certificate, in PEM; for redis.tls"
    )
    redis_tls_certificate: SecretStr | None = Field(
        default=None, description="Redis's self-signed certificate, in PEM; for redis.tls"
    )
