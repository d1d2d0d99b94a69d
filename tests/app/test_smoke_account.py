"""The account of a smoke run: whatever ends the run, nobody can use the account and no list shows it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from pydantic import ValidationError
from smoked import NOTHING, PATIENT, Slot, refuse, smoked
from stores import Stores

from app import smoke
from app.smoke_account import DOMAIN
from app.smoke_visit import Visit
from app.user.schemas import UserCreate

AGE = "UPDATE users SET created_at = now() - interval '61 minutes' WHERE deleted_at IS NULL"


@pytest.fixture(scope="module")
def slot(
    stores: Stores, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Slot]:
    with smoked(stores, new_database("gad_head"), tmp_path_factory.mktemp("smoke")) as running:
        yield running


def test_an_account_that_may_not_log_in_is_removed(slot: Slot) -> None:
    slot.execute(*refuse("sessions", "INSERT"))
    try:
        error, remedy = slot.failing()
    finally:
        slot.execute("DROP TRIGGER no ON sessions")
    assert error.startswith("error: login: POST /api/v1/auth/login answers 500 internal, request ")
    assert remedy == "remedy: look the request up in the container's log"
    assert (slot.shown(), slot.left()) == ([], NOTHING)


def test_what_cannot_be_removed_is_said_and_the_next_run_removes_it(slot: Slot) -> None:
    slot.execute(*refuse("sessions", "UPDATE"))
    try:
        code, report, said = slot.smoke()
    finally:
        slot.execute("DROP TRIGGER no ON sessions")
    assert code == 1
    assert [check["name"] for check in report["checks"] if not check["ok"]] == ["logout", "removal"]
    assert said.startswith("error: logout: POST /api/v1/auth/logout answers 500 internal, request ")
    [left] = slot.shown()

    assert slot.smoke()[0] == 0
    assert slot.shown() == [left], "its run may still be at work"
    slot.execute(AGE)
    assert slot.smoke()[0] == 0
    assert (slot.shown(), slot.left()) == ([], NOTHING)


def test_nobody_elses_account_is_a_leftover(slot: Slot) -> None:
    person = (
        "INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc, created_at)"
        " VALUES ('smoke.jumper@distrito.example', 'A', 'B', 1, '!', '', now() - interval '1 year')"
    )
    slot.execute(person)
    assert slot.smoke()[0] == 0
    assert slot.shown() == ["smoke.jumper@distrito.example"]
    slot.execute("DELETE FROM users WHERE email = 'smoke.jumper@distrito.example'")


def test_no_person_can_have_an_address_of_the_smoke_test() -> None:
    with pytest.raises(ValidationError) as refused:
        UserCreate(email=f"smoke.1@{DOMAIN}", first_name="A", last_name="B", dni="123456")
    assert [error["loc"] for error in refused.value.errors()] == [("email",)]


@asynccontextmanager
async def held_at_login(slot: Slot, *arguments: str) -> AsyncIterator[Process]:
    """A run whose account is there and whose login waits, until the block ends."""
    holder = await asyncpg.connect(slot.stores.dsn("postgres", slot.database))
    command = (sys.executable, "-m", "app.smoke", *arguments)
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'refresh_tokens'::regclass"
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE refresh_tokens IN SHARE MODE")
            child = await asyncio.create_subprocess_exec(*command, env=slot.env, stdout=PIPE, stderr=PIPE)
            async with asyncio.timeout(30):
                while not await holder.fetchval(waits):  # noqa: ASYNC110 - PostgreSQL tells nobody
                    await asyncio.sleep(0.05)
            yield child
    finally:
        await holder.close()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_and_the_account_goes_too(slot: Slot, signum: signal.Signals) -> None:
    async with held_at_login(slot, *PATIENT) as child:
        child.send_signal(signum)
    async with asyncio.timeout(30):
        out, said = await child.communicate()
    report = json.loads(out)
    assert child.returncode == 130
    assert report["checks"][-1] | {"ms": 0} == {
        "name": "login",
        "ok": False,
        "ms": 0,
        "reason": "stopped by a signal",
    }
    assert said == b"error: login: stopped by a signal\nremedy: run it again\n"
    assert (await asyncio.to_thread(slot.shown), await asyncio.to_thread(slot.left)) == ([], NOTHING)


async def test_a_database_that_hangs_is_not_waited_for(slot: Slot) -> None:
    async with held_at_login(slot, "--within", "8") as child:
        await asyncio.to_thread(slot.stores.postgres.pause)
        try:
            async with asyncio.timeout(20):
                out, said = await child.communicate()
        finally:
            await asyncio.to_thread(slot.stores.postgres.unpause)
    await asyncio.to_thread(slot.api.wait_ready, 200)
    checks = [(each["name"], each.get("reason")) for each in json.loads(out)["checks"][-2:]]
    assert checks == [("login", "no answer in time"), ("removal", "no answer in time")]
    assert b"Traceback" not in said
    assert said.endswith(b"; or give it more time with --within\n")
    await asyncio.to_thread(slot.execute, AGE)
    assert (await asyncio.to_thread(slot.smoke))[0] == 0
    assert await asyncio.to_thread(slot.shown) == []


@pytest.fixture
def told(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This process in the container's place."""
    for name, value in slot.env.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_password_is_never_shown(
    slot: Slot, told: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told.setattr("app.smoke_account.secrets.token_urlsafe", lambda _: "canary-9f1c2b7a")
    assert smoke.main([]) == 0
    slot.execute(*refuse("sessions", "INSERT"))
    try:
        assert smoke.main([]) == 1
    finally:
        slot.execute("DROP TRIGGER no ON sessions")
    shown = capsys.readouterr()
    assert "error: login" in shown.err
    assert "canary" not in shown.out + shown.err + slot.api.log.read_text()


def test_a_bug_of_its_own_leaves_no_account(slot: Slot, told: pytest.MonkeyPatch) -> None:
    async def stumble(_: Visit) -> None:
        raise ZeroDivisionError

    told.setattr(smoke, "STEPS", (*smoke.STEPS[:6], smoke.Step("me", stumble, "")))
    with pytest.raises(ZeroDivisionError):
        smoke.main([])
    assert (slot.shown(), slot.left()) == ([], NOTHING)
