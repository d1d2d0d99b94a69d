"""`python -m app.admin create`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from served import environment, run
from stores import Stores

from app import admin

PASSWORD = "ocho caballos verdes"


def arguments(email: str) -> list[str]:
    return ["create", "--email", email, "--first-name", "Rosa", "--last-name", "Quishpe"]


async def account(stores: Stores, email: str) -> asyncpg.Record | None:
    connection = await asyncpg.connect(stores.dsn())
    try:
        return await connection.fetchrow(
            "SELECT level, verified, password_hash, dni_hmac FROM users WHERE email = $1", email
        )
    finally:
        await connection.close()


async def events(stores: Stores, email: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(stores.dsn())
    try:
        return await connection.fetch(
            "SELECT a.type, a.severity, a.channel, a.actor_id FROM audit_events a"
            " JOIN users u ON a.resource = 'user/' || u.uuid WHERE u.email = $1",
            email,
        )
    finally:
        await connection.close()


@pytest.fixture
def typed(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A slot's environment, and a good password at the prompt."""
    for name, value in environment(stores, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(admin, "read_password", lambda: PASSWORD)
    return monkeypatch


def test_the_password_comes_by_stdin_and_twice_is_once(stores: Stores, tmp_path: Path) -> None:
    env = environment(stores, tmp_path)
    first = run("admin", *arguments("primera@distrito.example"), env=env, stdin=f"{PASSWORD}\n")
    assert (first.returncode, first.stdout) == (0, "created administrator primera@distrito.example\n"), (
        first.stderr
    )
    made = asyncio.run(account(stores, "primera@distrito.example"))
    assert made is not None
    assert (made["level"], made["verified"], made["dni_hmac"]) == (3, True, None)
    assert made["password_hash"].startswith("$argon2id$")

    [event] = asyncio.run(events(stores, "primera@distrito.example"))
    assert tuple(event) == ("user.create", "high", "cli", None)

    again = run("admin", *arguments("PRIMERA@distrito.example"), env=env, stdin="another word entirely")
    assert again.returncode == 0
    assert again.stdout.endswith("exists already; nothing was changed, its password neither\n")
    kept = asyncio.run(account(stores, "primera@distrito.example"))
    assert kept is not None
    assert kept["password_hash"] == made["password_hash"]


@pytest.mark.parametrize(
    ("email", "password", "fact"),
    [
        ("nadie", PASSWORD, "email"),
        ("weak@distrito.example", "password2026!", "La contraseña es demasiado fácil"),
        ("rosa@distrito.example", "quishpe quishpe", "no puede contener tu nombre"),
        ("short@distrito.example", "corta", "password"),
        ("none@distrito.example", "", "password"),
    ],
)
def test_what_is_refused_is_said_and_never_shown(
    typed: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    email: str,
    password: str,
    fact: str,
) -> None:
    typed.setattr(admin, "read_password", lambda: password)
    assert admin.main(arguments(email)) == 2
    err = capsys.readouterr().err
    assert fact in err
    assert len(err.splitlines()) == 2
    assert password == "" or password not in err


def test_an_account_of_another_level_is_not_taken_over(
    typed: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stores: Stores
) -> None:
    assert admin.main(arguments("baja@distrito.example")) == 0
    stores.execute("UPDATE users SET level = 1 WHERE email = 'baja@distrito.example'", database="gad")
    assert admin.main(arguments("baja@distrito.example")) == 2
    assert "exists with level 1" in capsys.readouterr().err


def test_without_a_database_it_says_so(typed: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    typed.setenv("GAD_DATABASE_URL_FILE", "")
    # pragma: allowlist nextline secret
    typed.setenv("GAD_DATABASE_URL", "postgresql://gad_app:canary@127.0.0.1:1/gad")
    assert admin.main(arguments("nadie@distrito.example")) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: PostgreSQL does not answer")
    assert "canary" not in err


def test_there_is_no_way_to_pass_the_password_as_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        admin.main([*arguments("a@distrito.example"), "--password", PASSWORD])
    assert caught.value.code == 2
