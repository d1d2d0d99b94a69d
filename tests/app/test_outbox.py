"""From a commit to the stream: in order, once, whatever dies or stops in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest
from stores import Stores, wait_for
from test_leader import end_connection, running, until

from app import stream as streams
from app.db import Database
from app.duties import leaders
from app.events import Event, emit
from app.leader import Connection
from app.main import Process
from app.outbox import BATCH, COUNT_PENDING, Publisher, delete_published
from app.rotation import Rotation
from app.stream import START, Bounds, Entry, Stream, fields_of, id_of, position_of


@pytest.fixture
async def stream(stores: Stores) -> AsyncIterator[Stream]:
    """An empty one."""
    made = Stream(stores.redis_url, name="test-stream")
    await made._redis.delete(streams.STREAM, streams.KNOWN)
    yield made
    await made.close()


@pytest.fixture
async def connection(stores: Stores) -> AsyncIterator[Connection]:
    made = await asyncpg.connect(stores.dsn(), server_settings={"application_name": "test-publisher"})
    await made.execute("UPDATE event_outbox SET published_at = now() WHERE published_at IS NULL")
    yield made
    made.terminate()


async def commit(database: Database, count: int, first: int = 0, **data: object) -> None:
    """Events numbered from `first`, each in a transaction of its own."""
    for number in range(first, first + count):
        async with database.transaction() as session:
            emit(session, Event(type="alert", topics=("alerts",), data={"n": number, **data}))


async def everything(stream: Stream) -> list[Entry]:
    found: list[Entry] = []
    while page := await stream.after(found[-1].position if found else START):
        found += page
    return found


async def within(seconds: float, look: Callable[[], Awaitable[list[Entry]]], count: int) -> float:
    """Seconds until there were `count`."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while len(await look()) < count:  # noqa: ASYNC110 - the other side is Redis
            await asyncio.sleep(0.002)
    return time.monotonic() - began


def number(entry: Entry) -> int:
    return int(orjson.loads(entry.message("alerts"))["data"]["n"])


async def test_events_are_published_in_order_and_noted(
    process: Process, stream: Stream, connection: Connection
) -> None:
    await commit(process.database, 5)
    await Publisher(stream).publish(connection)
    found = await everything(stream)
    assert [number(entry) for entry in found] == [0, 1, 2, 3, 4]
    message = orjson.loads(found[0].message("alerts"))
    assert list(message) == ["id", "topic", "type", "data", "ts"]
    assert (message["type"], message["topic"], message["id"]) == ("alert", "alerts", found[0].id)
    assert found[0].type == "alert"
    assert await connection.fetchval(COUNT_PENDING) == 0


async def test_a_rolled_back_change_tells_nothing(
    process: Process, stream: Stream, connection: Connection
) -> None:
    async def fail() -> None:
        async with process.database.transaction() as session:
            emit(session, Event(type="alert", topics=("alerts",), data={}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await Publisher(stream).publish(connection)
    assert await everything(stream) == []


async def test_killed_between_stream_and_note_nothing_is_lost_or_doubled(
    process: Process, stores: Stores, stream: Stream, connection: Connection
) -> None:
    """The publisher's connection is ended by the server exactly when the events are in the stream."""

    class Killed(Stream):
        async def publish(self, events: Any) -> int:
            added = await super().publish(events)
            assert await end_connection(stores, "test-publisher") == 1
            return added

    await commit(process.database, 7)
    killed = Killed(stores.redis_url, name="test-killed")
    try:
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
            await Publisher(killed).publish(connection)
    finally:
        await killed.close()
    assert len(await everything(stream)) == 7
    again = await asyncpg.connect(stores.dsn())
    try:
        assert await again.fetchval(COUNT_PENDING) == 7
        await commit(process.database, 1, first=7)
        await Publisher(stream).publish(again)
        assert await again.fetchval(COUNT_PENDING) == 0
    finally:
        await again.close()
    assert [number(entry) for entry in await everything(stream)] == list(range(8))


async def test_a_known_event_is_refused_and_the_others_of_its_batch_are_not(stream: Stream) -> None:
    envelope = {"type": "alert", "data": {"n": 1}, "ts": "2026-01-01T00:00:00.000Z"}
    one, two = (fields_of(uuid4(), ("alerts",), envelope) for _ in range(2))
    assert await stream.publish([one]) == 1
    assert await stream.publish([one, two]) == 1
    assert await stream.publish([one, two]) == 0
    assert len(await everything(stream)) == 2


async def test_more_than_a_batch_is_published_in_one_go(
    process: Process, stream: Stream, connection: Connection
) -> None:
    async with process.database.transaction() as session:
        events = [Event(type="alert", topics=("alerts",), data={"n": n}) for n in range(2 * BATCH + 3)]
        emit(session, *events)
    await Publisher(stream).publish(connection)
    assert [number(entry) for entry in await everything(stream)] == list(range(2 * BATCH + 3))


async def test_rows_wait_while_redis_is_away_and_go_on_by_themselves(
    process: Process, stores: Stores, stream: Stream, connection: Connection
) -> None:
    """Acceptance 32: the outbox waits, then the events follow without anybody's help."""
    both = leaders(stores.dsn(), stream=stream, name="test-outbox", rotation=Rotation(None, None))
    async with running(both):
        await until(lambda: both[0].leads, within_s=5)
        await asyncio.to_thread(stores.redis.stop, timeout=5)
        try:
            await commit(process.database, 3)
            await asyncio.sleep(1.5)
            assert await connection.fetchval(COUNT_PENDING) == 3
        finally:
            await asyncio.to_thread(stores.redis.start)
            await asyncio.to_thread(wait_for, stores.redis_answers, "Redis answers")
        await within(5, lambda: everything(stream), 3)
        await asyncio.sleep(0.5)  # noted after it was published
        assert await connection.fetchval(COUNT_PENDING) == 0
    assert [number(entry) for entry in await everything(stream)] == [0, 1, 2]


async def test_a_commit_wakes_the_publisher_at_once(process: Process, stores: Stores, stream: Stream) -> None:
    both = leaders(stores.dsn(), stream=stream, name="test-outbox", rotation=Rotation(None, None))
    async with running(both):
        await until(lambda: both[0].leads, within_s=5)
        await asyncio.sleep(0.3)
        took = []
        for count in range(1, 6):
            await commit(process.database, 1, first=count)
            took.append(await within(2, lambda: everything(stream), count))
    assert sorted(took)[2] < 0.2  # waiting for the next second's look would take 0.5 s in the middle


async def test_old_rows_are_deleted_and_pending_ones_never(
    process: Process, stores: Stores, connection: Connection
) -> None:
    superuser = await asyncpg.connect(stores.dsn("postgres", "gad"))
    try:
        await superuser.execute("TRUNCATE event_outbox")
        await commit(process.database, 3)
        await superuser.execute(
            "UPDATE event_outbox SET created_at = now() - interval '3 days',"
            " published_at = CASE (envelope -> 'data' ->> 'n') WHEN '0' THEN now() - interval '25 hours'"
            " WHEN '1' THEN now() - interval '23 hours' END"
        )
    finally:
        await superuser.close()
    await delete_published(connection)
    left = await connection.fetch("SELECT envelope -> 'data' ->> 'n' AS n FROM event_outbox ORDER BY id")
    assert [row["n"] for row in left] == ["1", "2"]


async def test_what_the_stream_holds(stream: Stream) -> None:
    assert await stream.bounds() == Bounds(START, START, trimmed=False)
    envelope = {"type": "alert", "data": {}, "ts": "2026-01-01T00:00:00.000Z"}
    await stream.publish([fields_of(uuid4(), ("alerts",), envelope) for _ in range(3)])
    first, second, third = (entry.position for entry in await everything(stream))
    assert await stream.bounds() == Bounds(first, third, trimmed=False)
    assert [entry.position for entry in await stream.newest(2)] == [second, third]
    await stream._redis.xtrim(streams.STREAM, maxlen=1, approximate=False)
    assert await stream.bounds() == Bounds(third, third, trimmed=True)


@pytest.mark.parametrize(
    ("seen", "bounds", "gap"),
    [
        (START, Bounds(START, START, trimmed=False), False),
        (START, Bounds((5, 0), (9, 0), trimmed=False), False),
        (START, Bounds((5, 0), (9, 0), trimmed=True), True),
        ((5, 0), Bounds((5, 0), (9, 0), trimmed=True), False),
        ((4, 9), Bounds((5, 0), (9, 0), trimmed=True), True),
        ((4, 9), Bounds((5, 0), (9, 0), trimmed=False), True),  # another stream than the one that was seen
        ((9, 0), Bounds((5, 0), (9, 0), trimmed=True), False),
        ((9, 1), Bounds((5, 0), (9, 0), trimmed=False), True),
        ((9, 1), Bounds(START, START, trimmed=False), True),
    ],
)
def test_a_gap_is_seen(seen: tuple[int, int], bounds: Bounds, gap: bool) -> None:
    assert bounds.has_gap_after(seen) is gap


def test_ids_are_positions() -> None:
    assert position_of("1700000000000-3") == (1700000000000, 3)
    assert id_of((17, 3)) == "17-3"
    assert position_of("17") == (17, 0)
    with pytest.raises(ValueError, match="invalid literal"):
        position_of("-")
