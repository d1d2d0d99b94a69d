from __future__ import annotations

import secrets
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import app
from app import main
from app.errors import StartError
from app.settings import (
    Environment,
    MigrationSettings,
    PoolSize,
    Settings,
    is_secret,
    known_variables,
    load,
    weak_secrets,
)

ROOT = Path(__file__).parents[3]

# Product contract, section 13, as far as the API process and the migrations go. Written down here a second
# time on purpose: a changed name or default is a changed contract.
SECRETS = {"DATABASE_URL", "MIGRATION_URL", "REDIS_URL", "JWT_SECRET", "JWT_PREVIOUS", "HMAC_KEY", "KEK"}
REQUIRED = {"ENV", "JWT_ISSUER", "JWT_AUDIENCE", "ALLOWED_HOSTS", "ALLOWED_ORIGINS"}
DEFAULTS: dict[str, Any] = {
    "PORT": 8000,
    "PRIVATE_PORT": 9000,
    "SLOT": None,
    "LIVE_SLOT_FILE": None,
    "TRUSTED_PROXIES": (),
    "DB_POOL": PoolSize(5, 0),
    "DB_POOL_S": 2,
    "DB_STATEMENT_MS": 5000,
    "REDIS_MS": 200,
    "RATE_ANONYMOUS": 300,
    "RATE_AUTH": 10,
    "RATE_READ": 600,
    "RATE_WRITE": 120,
    "RATE_ADMIN": 200,
    "RATE_EMERGENCY": 30,
    "RATE_WS": 10,
    "RATE_EXPORT": 1,
    "WS_MAX_CLIENTS": 2000,
    "WS_QUEUE": 256,
    "WS_PING_S": 30,
    "WS_SILENCE_S": 60,
    "WS_AUTH_S": 5,
    "TZ": "America/Guayaquil",
    "LOG_LEVEL": "INFO",
}

GOOD = {
    "GAD_ENV": "test",
    "GAD_DATABASE_URL": "postgresql://gad_app:x@postgres:5432/gad",
    "GAD_REDIS_URL": "redis://gad:x@redis:6379/0",
    "GAD_JWT_SECRET": "a",
    "GAD_HMAC_KEY": "b",
    "GAD_KEK": "c",
    "GAD_JWT_ISSUER": "https://gad.example",
    "GAD_JWT_AUDIENCE": "gad",
    "GAD_ALLOWED_HOSTS": "gad.example",
    "GAD_ALLOWED_ORIGINS": "https://gad.example",
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the environment to GOOD with changes; None takes a variable away."""

    def tell(**changes: str | None) -> None:
        for name, value in {**GOOD, **changes}.items():
            if value is not None:
                monkeypatch.setenv(name, value)

    return tell


def test_names_and_defaults_are_the_contracts() -> None:
    fields = {**Settings.model_fields, **MigrationSettings.model_fields}
    names = {name.upper(): field for name, field in fields.items()}
    assert {name for name, field in names.items() if is_secret(field)} == SECRETS
    assert {name for name, field in names.items() if field.is_required()} - SECRETS == REQUIRED
    assert {
        name: field.default for name, field in names.items() if name not in SECRETS | REQUIRED
    } == DEFAULTS


def test_every_setting_says_what_it_is_for() -> None:
    fields = {**Settings.model_fields, **MigrationSettings.model_fields}
    assert [name for name, field in fields.items() if not field.description] == []


def test_the_good_environment_loads_with_the_defaults(told: Any) -> None:
    told()
    settings = load(Settings)
    assert settings.env is Environment.TEST
    assert settings.db_pool == PoolSize(5, 0)
    assert settings.allowed_hosts == ("gad.example",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a,b", ("a", "b")), (" a , b ,", ("a", "b")), ('["a", "b"]', ("a", "b")), ("a", ("a",))],
)
def test_lists_take_commas_or_json(told: Any, text: str, expected: tuple[str, ...]) -> None:
    told(GAD_ALLOWED_HOSTS=text)
    assert load(Settings).allowed_hosts == expected


def test_a_file_wins_over_the_variable_and_loses_its_last_newline(told: Any, tmp_path: Path) -> None:
    (tmp_path / "kek").write_text("from the file\n")
    told(GAD_KEK_FILE=str(tmp_path / "kek"))
    assert load(Settings).kek.get_secret_value() == "from the file"


def test_secrets_do_not_show(told: Any) -> None:
    told(GAD_KEK="canary-kek")
    assert "canary" not in repr(load(Settings))


@pytest.mark.parametrize(
    ("changes", "fact", "remedy"),
    [
        ({"GAD_DB_POL": "5+0"}, "GAD_DB_POL is not a setting of this program", "did you mean GAD_DB_POOL?"),
        ({"GAD_KEK_FIL": "/x"}, "GAD_KEK_FIL is not a setting of this program", "did you mean GAD_KEK_FILE?"),
        ({"GAD_XYZZY": "1"}, "GAD_XYZZY is not a setting of this program", "remove it"),
        ({"GAD_ENV": None}, "GAD_ENV is not set", "correct"),
        ({"GAD_KEK": None}, "GAD_KEK (or GAD_KEK_FILE) is not set", "correct"),
        ({"GAD_ENV": "prod"}, "GAD_ENV: Input should be 'dev', 'test', 'staging' or 'production'", "correct"),
        ({"GAD_DB_POOL": "five"}, "GAD_DB_POOL: write it as kept+overflow, such as 5+0", "correct"),
        ({"GAD_PORT": "80000"}, "GAD_PORT: Input should be less than or equal to 65535", "correct"),
        ({"GAD_TZ": "Mars/Olympus"}, "GAD_TZ: no such time zone", "correct"),
        ({"GAD_LOG_LEVEL": "LOUD"}, "GAD_LOG_LEVEL: use DEBUG, INFO", "correct"),
        ({"GAD_DATABASE_URL": "canary"}, "GAD_DATABASE_URL: must start with postgresql://", "correct"),
        ({"GAD_ALLOWED_HOSTS": "[canary"}, "GAD_ALLOWED_HOSTS: ", "correct"),
        ({"GAD_SLOT": "../canary"}, "GAD_SLOT: ", "correct"),
        ({"GAD_JWT_SECRET_FILE": "/nowhere"}, "GAD_JWT_SECRET_FILE: cannot read /nowhere: No such", "mount"),
        ({"GAD_LIVE_SLOT_FILE": "/run/live"}, "GAD_LIVE_SLOT_FILE needs GAD_SLOT", "correct"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_setting_is_named_with_its_remedy(
    told: Any, capsys: pytest.CaptureFixture[str], changes: dict[str, str | None], fact: str, remedy: str
) -> None:
    told(**changes)
    assert main.main() == 2
    out = capsys.readouterr()
    first, second = out.err.splitlines()
    assert first.startswith(f"error: {fact}")
    assert second.startswith(f"remedy: {remedy}")
    assert "canary" not in out.err.replace("../canary", "").replace("GAD_", "")


def test_every_wrong_setting_is_named_at_once(told: Any) -> None:
    told(GAD_PORT="x", GAD_REDIS_MS="0", GAD_JWT_ISSUER=None)
    with pytest.raises(StartError) as caught:
        load(Settings)
    for name in ("GAD_PORT", "GAD_REDIS_MS", "GAD_JWT_ISSUER"):
        assert name in caught.value.fact


def strong() -> str:
    return secrets.token_urlsafe(48)


def production(**changes: str | None) -> dict[str, str | None]:
    values: dict[str, str | None] = {
        "GAD_ENV": "production",
        "GAD_DATABASE_URL": f"postgresql://gad_app:{strong()}@postgres:5432/gad",
        "GAD_REDIS_URL": f"redis://gad:{strong()}@redis:6379/0",
        "GAD_JWT_SECRET": strong(),
        "GAD_HMAC_KEY": strong(),
        "GAD_KEK": strong(),
    }
    return {**values, **changes}


@pytest.mark.parametrize("env", ["staging", "production"])
def test_strong_secrets_start(told: Any, env: str) -> None:
    told(**production(GAD_ENV=env))
    assert load(Settings).env == env


REPEATED = "r4-" + strong()


@pytest.mark.parametrize("env", ["staging", "production"])
@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"GAD_KEK": "only-31-bytes-long-0123456789abc"[:31]}, "GAD_KEK is shorter than 32 bytes"),
        ({"GAD_HMAC_KEY": "please-change-me-0123456789-abcdef"}, "GAD_HMAC_KEY is a placeholder"),
        ({"GAD_JWT_SECRET": "<put the secret of this stack here>"}, "GAD_JWT_SECRET is a placeholder"),
        ({"GAD_JWT_SECRET": "0" * 40}, "GAD_JWT_SECRET is a placeholder"),
        ({"GAD_KEK": REPEATED, "GAD_HMAC_KEY": REPEATED}, "GAD_KEK repeats GAD_HMAC_KEY"),
        ({"GAD_REDIS_URL": "redis://redis:6379/0"}, "GAD_REDIS_URL is shorter"),
        (
            # pragma: allowlist nextline secret
            {"GAD_DATABASE_URL": "postgresql://a:short@postgres/gad"},
            "GAD_DATABASE_URL is shorter",
        ),
        ({"GAD_ALLOWED_ORIGINS": "*"}, "GAD_ALLOWED_ORIGINS must not be *"),
    ],
    # The changes hold made-up secrets that differ with each run: the fact alone names the case.
    ids=lambda value: "" if isinstance(value, dict) else str(value)[:40],
)
def test_weak_secrets_do_not_start_where_people_are_served(
    told: Any, env: str, changes: dict[str, str], fact: str
) -> None:
    told(**production(GAD_ENV=env, **changes))
    with pytest.raises(StartError) as caught:
        load(Settings)
    assert fact in caught.value.fact
    assert REPEATED not in str(caught.value)


@given(st.binary(min_size=32, max_size=64))
def test_no_random_key_counts_as_a_placeholder(key: bytes) -> None:
    import hashlib  # noqa: PLC0415

    assert [*weak_secrets({"GAD_KEK": hashlib.sha256(key).hexdigest()})] == []


def test_each_container_knows_the_other_ones_names(told: Any) -> None:
    """A variable of another process of the same stack is no misspelling."""
    told(GAD_MIGRATION_URL_FILE="/run/gad/secrets/migration_url")
    assert load(Settings)
    assert "GAD_PORT_FILE" not in known_variables()


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == app.__version__
