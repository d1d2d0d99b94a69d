"""One stack file, `Pulumi.<stack>.yaml`, as one frozen model; the only reader of pulumi.Config.

Everything wrong in a stack file fails here, at once, with the path of the key. Downstream there is
no `get(…) or default`. A plain `str` is public by definition; secrets are `SecretStr`.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from infra.claims import Claim, claim
from infra.errors import Exit, GadError
from infra.image_lock import read_lock
from infra.ssh import SshAccess

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "grupo-gad"

DIGEST = re.compile(r"^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$")
SECRET = re.compile(r"^[A-Za-z0-9_-]{32,128}$")  # URL-safe, so that it needs no quoting in a DSN
TLS_PAIR = "tls_pair"  # an error of the key and certificate together, which only a new pair mends
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


class Hardening(Section):
    """What an update makes of a bare server before anything runs on it."""

    os: Literal["debian-13", "ubuntu-24.04"] = Field(description="its operating system; another is refused")
    first_user: str = Field(default="root", description="the account a new machine is handed over with")
    first_port: Port = Field(default=22, description="its SSH port as it is handed over")
    sshd_port: Port | None = Field(
        default=None, description="what sshd listens on, where that is not server.port (a port is forwarded)"
    )
    deploy_keys: tuple[str, ...] = Field(
        min_length=1, description="public keys that may sign in as server.user, as in authorized_keys"
    )
    deploy_from: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="from where; empty: from anywhere"
    )


class Server(Section):
    """Where the containers run."""

    kind: Literal["local", "existing"] = Field(
        description="local: this machine's Docker engine; existing: a server reached over SSH"
    )
    hardening: Hardening | None = Field(
        default=None, description="make the server ready; without it, it is taken as it is"
    )
    address: str | None = Field(default=None, description="host name or address of an existing server")
    port: Port = Field(default=22, description="its SSH port")
    user: str = Field(default="deploy", description="the account that may use Docker there")
    host_key: str | None = Field(
        default=None,
        pattern=r"^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/=]+$",
        description="its pinned public host key, `ssh-keyscan -t ed25519 HOST` without the host",
    )
    private_key_file: str | None = Field(
        default=None,
        pattern=r"^(~/|/)[^\n]+$",
        description="path of the SSH private key, absolute or from ~/; without it the agent's keys are tried",
    )
    base_dir: str = Field(
        default="/opt/grupogad",
        pattern=r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$",
        description="absolute path where the stack's files live on the server; the account may write there",
    )

    @model_validator(mode="after")
    def _existing_is_complete(self) -> Self:
        if self.kind == "existing":
            missing = [key for key in ("address", "host_key") if getattr(self, key) is None]
            if missing:
                raise ValueError(f"kind existing needs {' and '.join(missing)}")
        if self.kind == "local" and self.hardening is not None:
            raise ValueError("hardening is for a server; this machine is left as it is")
        return self

    @property
    def access(self) -> SshAccess | None:
        """How the server is reached; None for this machine."""
        if self.kind == "local" or self.address is None or self.host_key is None:
            return None
        return SshAccess(
            address=self.address,
            port=self.port,
            user=self.user,
            host_key=self.host_key,
            private_key_file=self.private_key_file,
        )


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
    memory_mib: int = Field(default=128, ge=64, le=65_536)
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


class StackFile(Section):
    """The keys of a stack file, under the namespace `grupo-gad:`."""

    environment: Literal["dev", "staging", "production"]
    server: Server
    network: Network = Network()
    images: Images
    postgres: Postgres
    redis: Redis
    api: Api
    proxy: Proxy
    secrets: Secrets

    @model_validator(mode="after")
    def _suits_the_environment(self) -> Self:
        if self.environment == "dev" and not self.proxy.bind.is_loopback:
            # Its secrets are open to everyone who has the repository.
            raise ValueError(
                f"proxy.bind {self.proxy.bind} is not loopback; a dev stack stays on its machine"
            )
        if self.environment != "dev":
            if self.server.kind == "local":
                raise ValueError("server.kind local is for dev; staging and production run on a server")
            if self.images.source == "local":
                raise ValueError("images.source local is for dev; pin digests with `gad images lock`")
        # Each slot's pool, its probe and its two leaders; and room for migration, backup and a person.
        pools = 2 * (self.api.db_pool + 3) + 10
        if pools > self.postgres.max_connections:
            raise ValueError(
                f"postgres.max_connections {self.postgres.max_connections} is less than the {pools} "
                f"that two slots with api.db_pool {self.api.db_pool} and operations need"
            )
        return self

    @model_validator(mode="after")
    def _tls_is_usable(self) -> Self:
        if not self.postgres.tls:
            return self
        key, certificate = self.secrets.postgres_tls_key, self.secrets.postgres_tls_certificate
        if key is None or certificate is None:
            lacking = "postgres_tls_key" if key is None else "postgres_tls_certificate"
            raise PydanticCustomError(TLS_PAIR, f"postgres.tls needs secrets.{lacking}")
        from infra.tls_pair import TlsPair, flaw_of  # noqa: PLC0415  (a tenth of a second, for TLS only)

        pair = TlsPair(key.get_secret_value(), certificate.get_secret_value())
        flaw = flaw_of(pair, name="postgres", at=datetime.now(UTC))
        if flaw is not None:
            raise PydanticCustomError(TLS_PAIR, "secrets.postgres_tls_*: {flaw}", {"flaw": flaw})
        return self


IMAGES = ("app", "postgres", "redis", "caddy")
HTTP_PORT, HTTPS_PORT = 80, 443  # of a stack on a server that states no others


class Settings(BaseModel):
    """A whole stack, complete: nothing optional is left open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    prefix: str
    file: StackFile
    images: Mapping[str, str]
    subnet: IPv4Network
    https_port: int
    http_port: int
    host_dir: str  # where the stack's files live, on the machine that runs its containers

    def revision(self, *names: str) -> str:
        """A name for the present values of these secrets: it changes with them and reveals nothing.

        Keyed, so that the name in clear in state and paths is no way to test guesses.
        """
        key = self.file.secrets.revision_key.get_secret_value().encode()
        values = {name: getattr(self.file.secrets, name).get_secret_value() for name in sorted(names)}
        return hmac.new(key, json.dumps(values).encode(), hashlib.sha256).hexdigest()[:12]


def parse(config: Mapping[str, object], *, source: str) -> StackFile:
    """Validate the values of a stack file; `source` is its name in messages.

    Raises GadError that names every wrong key by its path, what is allowed, and the nearest key.
    """
    try:
        return StackFile.model_validate(dict(config))
    except ValidationError as error:
        facts = [_fact(detail) for detail in error.errors()]
        remedies = {_remedy(detail["loc"], detail["type"], source) for detail in error.errors()}
        raise GadError(
            f"{'; '.join(facts)} ({source})", remedy="; ".join(sorted(remedies)), exit_code=Exit.USAGE
        ) from None


def _fact(detail: ErrorDetails) -> str:
    location = detail["loc"]
    path = ".".join(str(part) for part in location) or "the stack file"
    match detail["type"]:
        case "extra_forbidden":
            known = sorted(_section(location[:-1]).model_fields)
            near = difflib.get_close_matches(str(location[-1]), known, n=1)
            whole = ".".join([*(str(part) for part in location[:-1]), *near])
            hint = f"did you mean {whole}?" if near else f"allowed are {', '.join(known)}"
            return f"{path} is no setting; {hint}"
        case "missing":
            return f"{path} is missing"
        case _ if detail["type"] == TLS_PAIR:
            return detail["msg"]
        case "model_type":
            return f"{path}: must be a mapping of {', '.join(sorted(_section(location).model_fields))}"
        case "string_pattern_mismatch":  # no secret has one, so the value may be shown
            wanted = _section(location[:-1]).model_fields[str(location[-1])].description
            return f"{path}: {detail['input']!r} is not allowed; wanted: {wanted}"
    return f"{path}: {detail['msg'].removeprefix('Value error, ')}"


def _remedy(location: tuple[int | str, ...], kind: str, source: str) -> str:
    if kind == TLS_PAIR or (location and location[0] == "secrets" and kind != "extra_forbidden"):
        stack = source.removeprefix("Pulumi.").removesuffix(".yaml")
        return f"run `gad secrets init {stack}`, which creates strong ones"
    return f"correct {source}; config/stack.schema.json lists every key"


def _section(location: tuple[int | str, ...]) -> type[BaseModel]:
    section: type[BaseModel] = StackFile
    for part in location:
        annotation = section.model_fields[str(part)].annotation
        candidates = [annotation, *get_args(annotation)]
        section = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return section


def block_of(file: StackFile, *, stack: str, checkout: Path) -> Claim | None:
    """The block this machine gives a stack that runs on it; a server is no concern of its claims."""
    return claim(stack, checkout) if file.server.kind == "local" else None


def resolve(file: StackFile, *, stack: str, block: Claim | None, local_images: Mapping[str, str]) -> Settings:
    """Complete a stack file with what this machine decides: its block and locally built images.

    `block` is None for a stack on a server. Raises GadError if an image is neither in the stack file nor
    built here, if a server's network is not stated, or if its private key is not there.
    """
    stated = {name: getattr(file.images, name) for name in IMAGES}
    images: dict[str, str] = {}
    for name, digest in stated.items():
        known = digest or (local_images.get(name) if file.images.source == "local" else None)
        if known is None:
            raise GadError(
                f"images.{name} has no digest (Pulumi.{stack}.yaml)",
                remedy=f"run `gad images build {name}`"
                if file.images.source == "local"
                else f"run `gad images lock --stack {stack}`",
                exit_code=Exit.USAGE,
            )
        images[name] = known
    https_port = file.proxy.https_port or (block.https_port if block else HTTPS_PORT)
    http_port = file.proxy.http_port or (block.http_port if block else HTTP_PORT)
    subnet = file.network.subnet or (block.subnet if block else None)
    if subnet is None:
        raise GadError(
            f"network.subnet is missing (Pulumi.{stack}.yaml)",
            remedy="state a /22 that nothing on the server uses, 10.88.0.0/22 for example",
            exit_code=Exit.USAGE,
        )
    _check_private_key(file.server, stack)
    if https_port == http_port:
        raise GadError(
            f"proxy.https_port and proxy.http_port are both {http_port} (Pulumi.{stack}.yaml)",
            remedy="set one of them to another port",
            exit_code=Exit.USAGE,
        )
    return Settings(
        stack=stack,
        prefix=block.prefix if block else f"gad-{stack}",
        file=file,
        images=images,
        subnet=subnet,
        https_port=https_port,
        http_port=http_port,
        host_dir=str(ROOT / ".gad" / stack / "host") if block else f"{file.server.base_dir}/{stack}",
    )


def _check_private_key(server: Server, stack: str) -> None:
    key = Path(server.private_key_file).expanduser() if server.private_key_file else None
    if key is not None and not key.is_file():
        raise GadError(
            f"server.private_key_file {key} does not exist (Pulumi.{stack}.yaml)",
            remedy="name the private key of the account on the server, or leave it out and use an agent",
            exit_code=Exit.USAGE,
        )


def load(stack: str) -> Settings:
    """The settings of the stack that the engine is running now.

    Reads the engine's configuration, this machine's claims and the local image lock. Raises
    GadError for anything that is not right.
    """
    source = f"Pulumi.{stack}.yaml"
    file = parse(_engine_config(), source=source)
    block = block_of(file, stack=stack, checkout=ROOT)
    return resolve(file, stack=stack, block=block, local_images=local_digests())


def _engine_config() -> dict[str, object]:
    # By key it can only be asked for what it knows; a misspelt key must be seen too. The official
    # language host sends the values in the environment, ours by standard input into the SDK.
    from pulumi.runtime.config import CONFIG, get_config_env  # noqa: PLC0415  (half a second, for programs only)

    values: dict[str, str] = {**get_config_env(), **CONFIG.get()}
    prefix = f"{NAMESPACE}:"
    return {k.removeprefix(prefix): _value(v) for k, v in values.items() if k.startswith(prefix)}


def _value(text: str) -> object:
    # The engine hands objects over as JSON and scalars as they stand.
    try:
        return json.loads(text) if text[:1] in ("{", "[") else text
    except ValueError:
        return text  # a scalar that only begins like one; the model says what is wrong with it


def local_digests() -> dict[str, str]:
    """Image name to digest, as `gad images build` recorded them; empty if it never ran."""
    return {image.name: image.digest for image in read_lock(ROOT).images}


def schema() -> str:
    """JSON Schema of a stack file, for editors; byte-stable."""
    body = StackFile.model_json_schema()
    secure = {
        "oneOf": [
            {"type": "string"},
            {"type": "object", "required": ["secure"], "properties": {"secure": {"type": "string"}}},
        ]
    }
    for name in body["$defs"]["Secrets"]["properties"].values():
        text = name.get("description", "")
        name.clear()
        name.update({"description": text, **secure})
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "GRUPO_GAD stack file",
        "type": "object",
        "required": ["config"],
        "properties": {
            "encryptionsalt": {"type": "string"},
            "secretsprovider": {"type": "string"},
            "config": {
                "type": "object",
                "additionalProperties": False,
                "patternProperties": {"^(pulumi|docker|command):": {}},
                "required": [f"{NAMESPACE}:{key}" for key in body["required"]],
                "properties": {f"{NAMESPACE}:{key}": value for key, value in body["properties"].items()},
            },
        },
        "$defs": body["$defs"],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
