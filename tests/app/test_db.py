"""The pool: connections that died while idle, and what each failure becomes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import date

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from stores import Stores

from app import metrics
from app.db import Database, Read, at_end, run, violated, write_out
from app.errors import Code, Problem, Unavailable
from app.settings import PoolSize

ONE = Read(text("SELECT CAST(:n AS int) AS n"))
SLEEP = Read(text("SELECT pg_sleep(CAST(:s AS float8))"))


@pytest.fixture
async def database(stores: Stores) -> AsyncIterator[Database]:
    made = Database(stores.dsn(), pool=PoolSize(2, 0), wait_s=0.3, statement_ms=300, name="gad-test-db")
    yield made
    await made.close()


def errors(kind: str) -> Callable[[], float]:
    """How often that happened since now."""
    before = metrics.db_errors.labels(kind)._value.get()
    return lambda: float(metrics.db_errors.labels(kind)._value.get() - before)


async def test_connections_that_died_while_idle_cost_no_request(database: Database, stores: Stores) -> None:
    async with database.transaction() as one, database.transaction() as two:
        drivers = []
        for session in (one, two):
            raw = await (await session.connection()).get_raw_connection()
            drivers.append(raw.driver_connection)
    assert database.connections() == (0, 2)

    killer = await asyncpg.connect(stores.dsn("postgres", "gad"))
    await killer.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gad-test-db'"
    )
    await killer.close()
    async with asyncio.timeout(10):
        while not all(driver.is_closed() for driver in drivers if driver is not None):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert [(await database.rows(ONE, n=n))[0]["n"] for n in range(4)] == [0, 1, 2, 3]
    async with database.transaction() as session:
        assert (await session.execute(text("SELECT 1"))).scalar_one() == 1


async def test_a_statement_over_its_time_is_unavailable_and_leaves_the_pool_whole(database: Database) -> None:
    count = errors("statement_timeout")
    with pytest.raises(Unavailable):
        await database.rows(SLEEP, s=5.0)
    with pytest.raises(Unavailable):
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_sleep(5)"))
    assert count() == 2
    assert (await database.rows(ONE, n=7))[0]["n"] == 7
    assert database.connections()[0] == 0


async def test_a_full_pool_is_unavailable_after_the_wait(database: Database) -> None:
    count = errors("pool_timeout")
    async with database.transaction(), database.transaction():
        assert database.connections() == (2, 0)
        with pytest.raises(Unavailable) as caught:
            await database.rows(ONE, n=1)
    assert caught.value.headers == {"Retry-After": "2"}
    assert count() == 1


async def test_a_failed_block_writes_nothing(database: Database, stores: Stores) -> None:
    insert = text(
        "INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc)"
        " VALUES ('vuelve@distrito.example', 'A', 'B', 1, '!', '')"
    )

    async def fail() -> None:
        async with database.transaction() as session:
            await session.execute(insert)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    count = Read(text("SELECT count(*) AS n FROM users WHERE email = 'vuelve@distrito.example'"))
    assert (await database.rows(count))[0]["n"] == 0


async def test_both_ways_of_a_statement_are_one_unit_of_work(database: Database) -> None:
    """The session's own and the prepared ones on the driver: begun, seen and taken back together."""
    count = Read(text("SELECT count(*) AS n FROM schema_info WHERE ordinal = -1"))
    in_session = text("INSERT INTO schema_info (ordinal, min_ordinal) VALUES (-1, -1)")

    async def fail() -> None:
        async with database.transaction() as session:
            await session.execute(text("DELETE FROM schema_info"))
            await session.execute(in_session)
            assert (await run(session, count))[0]["n"] == 1
            assert (await database.rows(count))[0]["n"] == 0
            await run(session, Read(in_session))  # one row is all the table holds

    with pytest.raises(IntegrityError) as caught:
        await fail()
    assert violated(caught.value) == "schema_info_one_row_key"
    assert (await database.rows(count))[0]["n"] == 0
    assert (await database.rows(Read(text("SELECT count(*) AS n FROM schema_info"))))[0]["n"] == 1


COUNTER = Read(
    text("""
        INSERT INTO task_code_counters (prefix, day, last)
        VALUES (CAST(:prefix AS text), CAST(:day AS date), CAST(:last AS int))
    """)
)
COUNTED = Read(text("SELECT last FROM task_code_counters WHERE prefix = 'END' ORDER BY last"))
KEY = "task_code_counters_pkey"


def days(*numbers: int) -> list[date]:
    return [date(2026, 1, number) for number in numbers]


async def counters(database: Database) -> list[int]:
    return [row["last"] for row in await database.rows(COUNTED)]


@pytest.fixture
async def no_counters(stores: Stores) -> None:
    await stores.fetch("DELETE FROM task_code_counters WHERE prefix = 'END'")


@pytest.mark.usefixtures("no_counters")
async def test_what_waits_for_the_end_is_written_with_the_rest(database: Database) -> None:
    """Several statements with the same names, each with its own values; none before the end."""
    async with database.transaction() as session:
        for number, day in enumerate(days(1, 2, 3), start=1):
            at_end(session, COUNTER, prefix="END", day=day, last=number)
        assert await run(session, COUNTED) == []
        await write_out(session)
        assert [row["last"] for row in await run(session, COUNTED)] == [1, 2, 3]
        at_end(session, COUNTER, prefix="END", day=days(4)[0], last=4)
        assert await counters(database) == []
    assert await counters(database) == [1, 2, 3, 4]


@pytest.mark.usefixtures("no_counters")
async def test_what_waits_for_the_end_of_a_failed_block_is_never_written(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as session:
            at_end(session, COUNTER, prefix="END", day=days(1)[0], last=1)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await counters(database) == []


@pytest.mark.usefixtures("no_counters")
@pytest.mark.parametrize(
    ("refusals", "raised"), [({KEY: Problem(Code.CODE_TAKEN)}, Problem), ({}, IntegrityError)]
)
async def test_a_refusal_at_the_end_has_its_own_name_and_leaves_nothing(
    database: Database, refusals: dict[str, Exception], raised: type[Exception]
) -> None:
    async def twice() -> None:
        async with database.transaction() as session:
            for last in (1, 2):
                at_end(session, COUNTER, refusals=refusals, prefix="END", day=days(1)[0], last=last)
        pytest.fail("the second row was not refused")

    with pytest.raises(raised) as caught:
        await twice()
    found = caught.value.__cause__ if raised is Problem else caught.value.orig  # type: ignore[attr-defined]
    assert getattr(found, "constraint_name", None) == KEY
    assert await counters(database) == []


@pytest.mark.parametrize("statement", ["SELECT 1", "SELECT pg_sleep(0.2)"])
async def test_a_cancelled_unit_of_work_leaves_nothing_behind(
    database: Database, stores: Stores, statement: str
) -> None:
    await stores.fetch("DELETE FROM task_code_counters WHERE prefix = 'CUT'")
    began = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as session:
            await session.execute(
                text("INSERT INTO task_code_counters (prefix, day, last) VALUES ('CUT', '2026-01-01', 1)")
            )
            began.set()
            await session.execute(text(statement))
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await began.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert database.connections()[0] == 0
    async with database.transaction() as one, database.transaction() as two:
        for session in (one, two):
            assert (await session.execute(text("SELECT 1"))).scalar_one() == 1
    assert await stores.fetch("SELECT 1 FROM task_code_counters WHERE prefix = 'CUT'") == []


async def test_a_bug_in_a_statement_is_no_outage(database: Database) -> None:
    count = errors("other")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await database.rows(Read(text("SELECT no_such_column")))
    assert count() == 1


async def test_nobody_listening_is_unavailable() -> None:
    nowhere = Database(
        "postgresql://a:b@127.0.0.1:1/c", pool=PoolSize(1, 0), wait_s=1, statement_ms=300, name="x"
    )
    with pytest.raises(Unavailable):
        await nowhere.rows(ONE, n=1)
    with pytest.raises(Unavailable):
        async with nowhere.transaction():
            pass
    await nowhere.close()
