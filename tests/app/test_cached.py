"""The content cache on a real Redis: hits, purges that no computation outruns, Redis away and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import uuid4

import orjson
import pytest
from redis.asyncio.connection import AbstractConnection
from stores import Stores, wait_for
from test_leader import until

from app import ending, metrics
from app.cache import Cache
from app.cached import ALL, ContentCache, Entry, Kind, _generation
from app.stats.invalidation import of_user, task_changed


class Source:
    """Counts how often it was asked; answers wait for `go` while it is clear."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()
        self.go.set()
        self.began: asyncio.Queue[int] = asyncio.Queue()

    async def begins(self) -> None:
        """Until it is asked once more."""
        await asyncio.wait_for(self.began.get(), 5)

    async def __call__(self) -> Mapping[str, object]:
        self.asked += 1
        mine = self.asked
        self.began.put_nowait(mine)
        await self.go.wait()
        return {"n": mine}


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def source() -> Source:
    return Source()


def entry(kind: Kind = Kind.USER, *tags: str) -> Entry:
    """A place that no other test knows."""
    return Entry(kind=kind, part=str(uuid4()), tags=tags)


@asynccontextmanager
async def replica(stores: Stores, clock: Clock | None = None) -> AsyncIterator[ContentCache]:
    cache = Cache(stores.redis_url, timeout_ms=500, name="test")
    yield ContentCache(cache, **({"clock": clock} if clock else {}))  # type: ignore[arg-type]
    await cache.close()


@pytest.fixture
async def content(stores: Stores) -> AsyncIterator[ContentCache]:
    async with replica(stores) as made:
        yield made


async def ask(content: ContentCache, place: Entry, source: Source) -> tuple[int, bool]:
    answer = orjson.loads(await content.get(place, source))
    assert set(answer) == {"cached", "as_of", "n"}
    return answer["n"], answer["cached"]


async def test_an_answer_is_computed_once_and_then_found(content: ContentCache, source: Source) -> None:
    place = entry()
    before = metrics.REGISTRY.get_sample_value("gad_cache_requests_total", {"result": "hit"}) or 0
    assert [await ask(content, place, source) for _ in range(3)] == [(1, False), (1, True), (1, True)]
    first, second = [orjson.loads(await content.get(place, source)) for _ in range(2)]
    assert first == second  # as_of stays that of the computation
    assert first["as_of"].endswith("Z")
    assert content.results == {"miss": 1, "hit": 4}
    after = metrics.REGISTRY.get_sample_value("gad_cache_requests_total", {"result": "hit"}) or 0
    assert after - before == 4


@pytest.mark.parametrize(("kind", "ttl_s"), [("user", 300), ("team", 60), ("tasks", 900), ("map", 5)])
async def test_how_long_it_is_kept(content: ContentCache, source: Source, kind: str, ttl_s: int) -> None:
    place = entry(Kind[kind.upper()])
    await content.get(place, source)
    left = await content._redis.pttl(place.key)
    assert ttl_s * 1000 - 2000 < left <= ttl_s * 1000
    assert place.key.startswith(f"gad:v1:{Kind[kind.upper()]}:")


async def test_a_crowd_makes_one_computation(content: ContentCache, source: Source) -> None:
    source.go.clear()
    place = entry()
    crowd = [asyncio.create_task(ask(content, place, source)) for _ in range(40)]
    await asyncio.sleep(0.2)
    crowd[0].cancel()  # the one that began it leaves
    source.go.set()
    answers = await asyncio.gather(*crowd, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [(1, False)] * 39
    assert await ask(content, place, source) == (1, True)


async def test_a_failure_reaches_everybody_and_is_not_kept(content: ContentCache, source: Source) -> None:
    async def fail() -> Mapping[str, object]:
        await asyncio.sleep(0.05)
        raise ZeroDivisionError

    place = entry()
    answers = await asyncio.gather(*(content.get(place, fail) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in answers] == [ZeroDivisionError] * 3
    assert await ask(content, place, source) == (1, False)


async def test_a_purge_ends_what_hangs_on_its_tag_and_nothing_else(stores: Stores, source: Source) -> None:
    user, other = uuid4(), uuid4()
    his, hers = entry(Kind.USER, of_user(user)), entry(Kind.USER, of_user(other))
    async with replica(stores) as here, replica(stores) as there:
        for place in (his, hers):
            await here.get(place, source)
        assert await ask(there, his, source) == (1, True)
        await task_changed(there, users=[user])
        assert await ask(here, his, source) == (3, False)
        assert await ask(here, hers, source) == (2, True)


async def test_a_computation_that_began_before_a_purge_is_never_served_after(
    stores: Stores, source: Source
) -> None:
    place = entry(Kind.TEAM, "team-of-this-test")
    async with replica(stores) as here, replica(stores) as there:
        source.go.clear()
        slow = asyncio.create_task(ask(here, place, source))
        await source.begins()
        await there.purge("team-of-this-test")
        # The same process, while the old one still runs: a computation of its own.
        later = asyncio.create_task(ask(here, place, source))
        await source.begins()
        source.go.set()
        assert await slow == (1, False)
        assert await later == (2, False)
        await asyncio.sleep(0.05)
        # Whichever of the two was stored last, the old one does not come back.
        assert (await ask(there, place, source))[0] >= 2
        assert (await ask(here, place, source))[0] >= 2


async def test_an_old_computation_that_is_stored_late_is_not_served(
    content: ContentCache, source: Source
) -> None:
    place = entry(Kind.TEAM, "late")
    source.go.clear()
    slow = asyncio.create_task(ask(content, place, source))
    await source.begins()
    await content.purge("late")
    source.go.set()
    assert await slow == (1, False)
    assert await content._redis.exists(place.key) == 1  # it is stored, but of a generation that is over
    assert await ask(content, place, source) == (2, False)
    assert await ask(content, place, source) == (2, True)


async def test_an_evicted_generation_is_a_purge(content: ContentCache, source: Source) -> None:
    place = entry(Kind.USER, "evicted")
    await content.get(place, source)
    await content._redis.delete(_generation("evicted"))
    assert await ask(content, place, source) == (2, False)
    assert await ask(content, place, source) == (2, True)


async def test_all_goes_at_once_and_is_counted_without_a_scan(stores: Stores, source: Source) -> None:
    async with replica(stores) as here, replica(stores) as there:
        await here.purge_all()
        places = [entry(Kind.USER), entry(Kind.USER), entry(Kind.MAP)]
        for place in places:
            await here.get(place, source)
        assert await there.count() == {"stats:user": 2, "stats:team": 0, "stats:tasks": 0, "map": 1}
        await there.purge_all()
        assert sum((await here.count()).values()) == 0
        assert [(await ask(here, place, source))[1] for place in places] == [False] * 3


@asynccontextmanager
async def paused(stores: Stores) -> AsyncIterator[None]:
    """Redis keeps its data and does not answer."""
    await asyncio.to_thread(stores.redis.pause)
    try:
        yield
    finally:
        await asyncio.to_thread(stores.redis.unpause)
        await asyncio.to_thread(wait_for, stores.redis_answers, "Redis answers")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for each time this process says something to Redis, its greetings too; they hold a password."""
    commands: list[str] = []
    send = AbstractConnection.send_packed_command

    async def note(connection: AbstractConnection, command: bytes, check_health: bool = True) -> None:
        commands.append("said")
        await send(connection, command, check_health)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", note)
    return commands


async def test_without_redis_it_computes_and_a_purge_is_owed(
    stores: Stores, source: Source, sent: list[str]
) -> None:
    clock = Clock()
    place = entry(Kind.TEAM, "owed")
    async with replica(stores, clock) as content:
        await content.get(place, source)
        async with paused(stores):
            assert await ask(content, place, source) == (2, False)
            sent.clear()
            assert await ask(content, place, source) == (3, False)
            assert sent == []  # not asked again for a second
            source.go.clear()
            crowd = [asyncio.create_task(ask(content, place, source)) for _ in range(5)]
            await asyncio.sleep(0.05)
            source.go.set()
            assert set(await asyncio.gather(*crowd)) == {(4, False)}
            await content.purge("owed")
        clock.now += 2
        # What was stored before the purge is still in Redis, and must not be served.
        assert await ask(content, place, source) == (5, False)
        assert await ask(content, place, source) == (5, True)
    assert content.results["error"] == 7


async def test_while_redis_is_away_a_purge_says_nothing_to_it_and_is_owed(
    stores: Stores, source: Source, sent: list[str]
) -> None:
    clock = Clock()
    first, second = entry(Kind.TEAM, "first"), entry(Kind.TEAM, "second")
    async with replica(stores, clock) as content, replica(stores) as other:
        for place in (first, second):
            await content.get(place, source)
        async with paused(stores):
            await content.purge("first")
            assert sent  # it was tried, and is known to be away
            sent.clear()
            await content.purge("second")
            assert sent == []
            assert await ask(content, first, source) == (3, False)
            assert await ask(content, second, source) == (4, False)
            assert sent == []
        assert await ask(content, second, source) == (5, False)  # still not asked, so nothing old is served
        clock.now += 2
        assert await ask(content, second, source) == (6, False)
        assert await ask(other, first, source) == (7, False)


async def test_a_purge_that_is_owed_is_paid_unasked(stores: Stores, source: Source) -> None:
    """So that another process serves the old answer no longer than it must."""
    place = entry(Kind.TASKS, "unasked")
    async with replica(stores) as here, replica(stores) as there, ending.background(here.run()):
        await here.get(place, source)
        async with paused(stores):
            await here.purge("unasked")
            await here.purge("unasked")
            assert "unasked" in here._owed
        await until(lambda: not here._owed, within_s=20)
        assert await ask(there, place, source) == (2, False)
        await here.purge("unasked")  # one more, which Redis hears at once
        assert await ask(there, place, source) == (3, False)


async def test_everything_hangs_on_the_tag_of_all(content: ContentCache, source: Source) -> None:
    place = entry()
    await content.get(place, source)
    await content.purge(ALL)
    assert await ask(content, place, source) == (2, False)
