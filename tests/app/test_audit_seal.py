"""The sealer: every committed event gets its place in one chain, whoever writes at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from stores import Stores

from app.audit import chain
from app.audit.recorder import Audit, record
from app.audit.sealer import seal
from app.db import Database, write_out
from app.settings import PoolSize

EVERYTHING = "SELECT * FROM audit_events WHERE seq IS NOT NULL ORDER BY seq"


@pytest.fixture
async def trail(stores: Stores, new_database: Callable[[str], str]) -> AsyncIterator[Database]:
    """A database without any event yet."""
    name = await asyncio.to_thread(new_database, "gad_head")
    database = Database(
        stores.dsn(database=name), pool=PoolSize(25, 0), wait_s=5, statement_ms=5000, name="test"
    )
    database.dsn = stores.dsn(database=name)  # type: ignore[attr-defined]
    yield database
    await database.close()


@asynccontextmanager
async def connected(trail: Database) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(trail.dsn)  # type: ignore[attr-defined]
    try:
        yield connection
    finally:
        await connection.close()


def event(number: int = 0) -> Audit:
    return Audit(type="task.create", resource=f"task/{number}", actor=None, payload={"fields": ["título"]})


async def write(trail: Database, *numbers: int) -> None:
    async with trail.transaction() as session:
        record(session, *map(event, numbers))


def followed(rows: list[asyncpg.Record]) -> chain.Chain:
    made = chain.Chain()
    made.follow(rows)
    made.end()
    return made


async def test_a_row_that_commits_late_comes_later_in_the_chain(trail: Database) -> None:
    async with connected(trail) as connection:
        async with trail.transaction() as slow:
            record(slow, event(1))
            await write_out(slow)
            await write(trail, 2)  # a bigger id, committed first
            await seal(connection)
        await seal(connection)
        rows = await connection.fetch(EVERYTHING)
    assert [(row["seq"], row["resource"]) for row in rows] == [(1, "task/2"), (2, "task/1")]
    assert rows[0]["id"] > rows[1]["id"]
    verdict = followed(rows)
    assert (verdict.first_bad, verdict.checked, verdict.head) == (None, 2, rows[1]["hash"])
    assert rows[0]["prev_hash"] == bytes(32)


async def test_what_is_rolled_back_leaves_no_gap(trail: Database) -> None:
    async with connected(trail) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT nextval(pg_get_serial_sequence('audit_events', 'id'))")
        await transaction.rollback()
    await write(trail, 2)
    async with connected(trail) as connection:
        await seal(connection)
        rows = await connection.fetch(EVERYTHING)
    assert [(row["seq"], row["resource"]) for row in rows] == [(1, "task/2")]


async def test_fifty_writers_and_two_sealers_make_one_chain(trail: Database) -> None:
    stop = asyncio.Event()

    async def keep_sealing() -> None:
        async with connected(trail) as connection:
            while not stop.is_set():
                await seal(connection, batch=20)
            await seal(connection)

    async def writer(number: int, first: int = 0) -> None:
        for part in range(first, 5):
            await write(trail, 10 * number + part, 1000 + part)

    sealers = [asyncio.create_task(keep_sealing()) for _ in range(2)]
    # The smallest ids are committed when bigger ones are sealed, whatever the machine's pace.
    async with trail.transaction() as slow:
        record(slow, event(0), event(1000))
        await write_out(slow)
        await asyncio.gather(*map(writer, range(1, 50)))
        async with connected(trail) as connection:
            while await connection.fetchval("SELECT count(seq) FROM audit_events") < 100:
                await seal(connection, batch=20)
    await writer(0, first=1)
    async with connected(trail) as connection:
        meanwhile = await connection.fetchval("SELECT count(seq) FROM audit_events")
        stop.set()
        await asyncio.gather(*sealers)
        rows = await connection.fetch(EVERYTHING)
    assert meanwhile >= 100
    assert [row["seq"] for row in rows] == list(range(1, 501))
    assert [row["id"] for row in rows] != sorted(row["id"] for row in rows)  # else nothing was proved
    verdict = followed(rows)
    assert (verdict.first_bad, verdict.checked) == (None, 500)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET type = 'x'",
        "UPDATE audit_events SET payload = NULL",
        "UPDATE audit_events SET seq = 2",
        "UPDATE audit_events SET seq = NULL, prev_hash = NULL, hash = NULL",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
    ],
)
async def test_the_application_cannot_change_a_sealed_event(trail: Database, statement: str) -> None:
    await write(trail, 1)
    async with connected(trail) as connection:
        await seal(connection)
        before = await connection.fetch(EVERYTHING)
        # TRUNCATE is refused by its rights already, the rest by the trigger.
        with pytest.raises((asyncpg.RestrictViolationError, asyncpg.InsufficientPrivilegeError)):
            await connection.execute(statement)
        assert await connection.fetch(EVERYTHING) == before


async def test_an_expired_payload_may_go_and_the_chain_holds(trail: Database) -> None:
    await write(trail, 1, 2)
    async with connected(trail) as connection:
        await seal(connection)
        async with connection.transaction():
            await connection.execute("SET LOCAL gad.erasure = 'on'")
            await connection.execute("UPDATE audit_events SET payload = NULL WHERE seq = 1")
        rows = await connection.fetch(EVERYTHING)
    verdict = followed(rows)
    assert (verdict.first_bad, verdict.without_payload) == (None, 1)
