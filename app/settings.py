"""Everything the processes are told from outside: GAD_* variables and `GAD_<NAME>_FILE` secret files.

Each process has its own model, because each container gets only the secrets it needs; a variable that
no model knows stops the start. Errors name the variable and never repeat its value.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, TypeVar, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from app.errors import StartError

PREFIX = "GAD_"
FILE_SUFFIX = "_FILE"
KEY_BYTES = 32  # product contract, section 13: the least a secret may have where people are served


class Environment(StrEnum):
    """Which stack this is; `staging` and `production` refuse weak secrets."""

    DEV = "dev"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


class PoolSize(NamedTuple):
    """Connections kept open, and further ones allowed for a moment."""

    kept: int
    overflow: int


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _pool(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,3})\+(\d{1,3})", value)
        if match is None:
            raise ValueError("write it as kept+overflow, such as 5+0")
        return PoolSize(int(match[1]), int(match[2]))
    return value


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("no such time zone") from error
    return value


def _known_level(value: str) -> str:
    if value.upper() not in logging.getLevelNamesMapping():
        raise ValueError("use DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return value.upper()


def _postgres_url(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in {"postgresql", "postgres"}:
        raise ValueError("must start with postgresql://")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must start with redis://")
    return value


# Lists take commas or JSON.
NameList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]

# Product contract, section 5: the defaults; a test or a load of data may need more.
PerMinute = Annotated[int, Field(ge=1, le=1_000_000)]


class SecretFiles(PydanticBaseSettingsSource):
    """`GAD_<NAME>_FILE` names a file that holds the secret; it wins over `GAD_<NAME>`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's text without the newline an editor leaves at its end."""
        variable = f"{PREFIX}{field_name.upper()}{FILE_SUFFIX}"
        path = os.environ.get(variable)
        if not path or not is_secret(field):
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise StartError(
                f"{variable}: cannot read {path}: {reason}",
                remedy="mount the secret's file where the variable points and let this user read it",
            ) from error

    def __call__(self) -> dict[str, Any]:
        """Only the secrets that have a file."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def is_secret(field: FieldInfo) -> bool:
    """Whether the field's value must come from a file in a container and never be shown."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


class _Variables(BaseSettings):
    """What every process needs."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, hide_input_in_errors=True
    )

    log_level: Annotated[str, AfterValidator(_known_level)] = Field(
        "INFO", description="Least severe level that is written to stdout."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Secret files first, then variables; no .env file, no secrets directory."""
        del dotenv_settings, file_secret_settings
        return init_settings, SecretFiles(settings_cls), env_settings


class MigrationSettings(_Variables):
    """What `python -m app.migrate` is told: it alone holds the schema owner's password."""

    migration_url: PostgresUrl = Field(description="postgresql:// URL of the role that owns the schema.")


class Settings(_Variables):
    """What the API process and `python -m app.admin` are told."""

    env: Environment = Field(description="Which stack this is: dev, test, staging or production.")

    database_url: PostgresUrl = Field(description="postgresql:// URL of the role that reads and writes rows.")
    redis_url: RedisUrl = Field(description="redis:// URL with user and password.")
    jwt_secret: SecretStr = Field(description="Key that signs and verifies access tokens.")
    jwt_previous: SecretStr | None = Field(
        None, description="Key that still verifies while a new one is rolled out."
    )
    hmac_key: SecretStr = Field(description="Key of the digests by which a document number is looked up.")
    kek: SecretStr = Field(description="Key that wraps each person's own encryption key.")

    jwt_issuer: str = Field(min_length=1, description="`iss` of access tokens.")
    jwt_audience: str = Field(min_length=1, description="`aud` of access tokens.")
    allowed_hosts: NameList = Field(min_length=1, description="Host names served; *.example.org and * work.")
    allowed_origins: NameList = Field(min_length=1, description="Origins a browser may log in from.")

    port: int = Field(8000, ge=1, le=65535, description="Public port.")
    private_port: int = Field(9000, ge=1, le=65535, description="Port of metrics and deep health.")
    slot: str | None = Field(None, pattern=r"^[a-z][a-z0-9-]{0,30}$", description="This replica's slot.")
    live_slot_file: Path | None = Field(None, description="File that names the slot in rotation.")
    trusted_proxies: NameList = Field((), description="Addresses whose X-Forwarded-For counts.")

    db_pool: Annotated[PoolSize, NoDecode, BeforeValidator(_pool)] = Field(
        PoolSize(5, 0), description="Connections kept + further ones allowed."
    )
    db_pool_s: float = Field(2, gt=0, le=60, description="Longest wait for a connection, seconds.")
    db_statement_ms: int = Field(5000, ge=10, le=600_000, description="Longest statement, milliseconds.")
    redis_ms: int = Field(200, ge=1, le=10_000, description="Longest Redis command or connect, milliseconds.")
    rate_anonymous: PerMinute = Field(300, description="Requests a minute of an address without a token.")
    rate_auth: PerMinute = Field(10, description="Logins and renewals a minute of an address.")
    rate_read: PerMinute = Field(600, description="Reads a minute of a person.")
    rate_write: PerMinute = Field(120, description="Writes a minute of a person.")
    rate_admin: PerMinute = Field(200, description="Requests a minute of a person to what level 3 may.")
    rate_emergency: PerMinute = Field(30, description="Emergencies a minute of a person.")
    rate_ws: PerMinute = Field(10, description="WebSocket connections a minute of a person.")
    rate_export: PerMinute = Field(1, description="Exports a minute of a person.")
    ws_max_clients: int = Field(2000, ge=1, le=50_000, description="Sockets a process serves.")
    ws_queue: int = Field(256, ge=1, le=10_000, description="Messages that may wait for a slow client.")
    ws_ping_s: float = Field(30, gt=0, le=600, description="Seconds between pings.")
    ws_silence_s: float = Field(60, gt=0, le=1200, description="Seconds of silence until a client is gone.")
    ws_auth_s: float = Field(5, gt=0, le=60, description="Seconds a client has to say who it is.")
    tz: Annotated[str, AfterValidator(_known_zone)] = Field(
        "America/Guayaquil", description="Time zone of dates shown to people; stored times are UTC."
    )

    @model_validator(mode="after")
    def _check_rotation(self) -> Self:
        if self.live_slot_file is not None and self.slot is None:
            raise ValueError("GAD_LIVE_SLOT_FILE needs GAD_SLOT: else nobody is ever in rotation")
        return self

    @model_validator(mode="after")
    def _check_secrets(self) -> Self:
        if self.env in {Environment.STAGING, Environment.PRODUCTION}:
            weak = [*weak_secrets(self._keys())]
            if weak:
                raise ValueError("; ".join(weak))
            if "*" in self.allowed_origins:
                raise ValueError("GAD_ALLOWED_ORIGINS must not be * here: name each origin")
        return self

    def _keys(self) -> dict[str, str]:
        fields = {
            name: getattr(self, name) for name, field in type(self).model_fields.items() if is_secret(field)
        }
        return {
            f"{PREFIX}{name.upper()}": secret.get_secret_value() for name, secret in fields.items() if secret
        }


# Words that mark a value somebody meant to replace; seven letters and more, as a random key of 64
# characters holds a given one with a probability below 1e-7.
_PLACEHOLDERS = re.compile(
    r"change.?me|replace.?me|placeholder|example|password|insecure|your.?secret|<|>|\$\{", re.I
)


def weak_secrets(secrets: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each secret that must not guard people's data; never the secret itself."""
    first: dict[str, str] = {}
    for name, value in secrets.items():
        secret = (urlsplit(value).password or "") if name.endswith("_URL") else value
        if len(secret.encode()) < KEY_BYTES:
            yield f"{name} is shorter than {KEY_BYTES} bytes"
        elif _PLACEHOLDERS.search(secret) or len(set(secret)) < 10:  # 10: a random 32-digit hex key has ~14
            yield f"{name} is a placeholder"
        elif secret in first:
            yield f"{name} repeats {first[secret]}"
        first.setdefault(secret, name)


AnySettings = TypeVar("AnySettings", bound=_Variables)


def known_variables() -> frozenset[str]:
    """Each GAD_* name that some process of the application reads."""
    names: set[str] = set()
    for model in (MigrationSettings, Settings):
        for name, field in model.model_fields.items():
            names.add(f"{PREFIX}{name.upper()}")
            if is_secret(field):
                names.add(f"{PREFIX}{name.upper()}{FILE_SUFFIX}")
    return frozenset(names)


def _refuse_unknown(variables: Iterable[str]) -> None:
    known = known_variables()
    for variable in sorted(variables):
        if variable.upper().startswith(PREFIX) and variable.upper() not in known:
            bare = sorted(name.removeprefix(PREFIX) for name in known)  # the prefix would make all alike
            near = difflib.get_close_matches(variable.upper().removeprefix(PREFIX), bare, n=1)
            raise StartError(
                f"{variable} is not a setting of this program",
                remedy=f"did you mean {PREFIX}{near[0]}?"
                if near
                else "remove it, or look its name up in app/settings.py",
            )


def load(model: type[AnySettings]) -> AnySettings:
    """Read one process's settings from the environment.

    Raises StartError naming every variable that is missing, wrong or unknown; never shows a value.
    """
    _refuse_unknown(os.environ)
    try:
        return model()
    except ValidationError as error:
        facts = [_sentence(model, part["loc"], part["type"], part["msg"]) for part in error.errors()]
        raise StartError(
            "; ".join(facts), remedy="correct the variables named above and start again"
        ) from None


def _sentence(model: type[BaseSettings], loc: tuple[int | str, ...], kind: str, message: str) -> str:
    if not loc:
        return message.removeprefix("Value error, ")
    name = str(loc[0])
    variable = f"{PREFIX}{name.upper()}"
    if kind == "missing":
        also = f" (or {variable}{FILE_SUFFIX})" if is_secret(model.model_fields[name]) else ""
        return f"{variable}{also} is not set"
    return f"{variable}: {message.removeprefix('Value error, ')}"
