"""Two processes on the same stores: what is committed anywhere is heard everywhere, once, whatever dies."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bodies import Caller, new_caller
from served import Served
from sockets import Peer, all_published, peer, publish, publish_many, replicas, token_of
from stores import Stores, wait_for
from test_health import metric, write

from app.db import Database
from app.main import Process
from app.stream import STREAM, Stream
from infra.operate.ws_load import LoadClient, Tally, open_client, open_clients

LONG = bool(os.environ.get("GAD_TEST_LONG"))
OFFLINE_S = 30 if LONG else 5
PER_S = 50


class Producer:
    """Commits numbered events at a steady rate, as long as the block lasts."""

    def __init__(self, database: Database, topic: str, per_s: float = PER_S) -> None:
        self._database, self._topic, self._per_s = database, topic, per_s
        self.count = 0
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def __aenter__(self) -> Producer:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        self._is_stopping = True  # not cancelled: a commit that is under way counts
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        began = time.monotonic()
        while not self._is_stopping:
            await publish(self._database, self._topic, n=self.count, sent=round(time.time(), 6))
            self.count += 1
            await asyncio.sleep(max(0.0, began + self.count / self._per_s - time.monotonic()))


def url(api: Served) -> str:
    return f"ws://127.0.0.1:{api.public.base_url.port}/ws"


async def people(process: Process, count: int, level: int = 2) -> list[Caller]:
    return [await new_caller(process, level) for _ in range(count)]


async def until_all_heard(tally: Tally, total: int, *, within_s: float = 10) -> None:
    """Wait for the last message, then a moment longer for one too many."""
    until = time.monotonic() + within_s
    while tally.received < total and time.monotonic() < until:  # noqa: ASYNC110 - it counts by itself
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    assert (tally.received, tally.lost, tally.doubled, tally.gaps) == (total, 0, 0, 0), tally.closed


@pytest.fixture(scope="module")
async def pair(
    stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Process, Served, Served]]:
    with replicas(stores, tmp_path_factory.mktemp("pair"), "blue", "green") as (process, (blue, green)):
        for api in (blue, green):
            api.wait_ready(200)
        yield process, blue, green
        await process.close()


@asynccontextmanager
async def heard(api: Served, caller: Caller, *topics: str) -> AsyncIterator[Peer]:
    async with peer(api, token_of(caller)) as client:
        await client.hear("welcome")
        await client.say(type="subscribe", topics=list(topics))
        await client.hear("subscribed")
        yield client


async def test_what_is_committed_on_one_is_heard_once_on_both(pair: tuple[Process, Served, Served]) -> None:
    """Acceptance 19."""
    process, blue, green = pair
    boss = await new_caller(process, 2)
    async with heard(blue, boss, "tasks") as here, heard(green, boss, "tasks") as there:
        body = {
            "title": "Patrulla del mercado central",
            "type": "patrol",
            "planned_start": "2026-12-01T10:00:00Z",
        }
        answer = await asyncio.to_thread(blue.public.post, "/api/v1/tasks", json=body, headers=boss.headers)
        assert answer.status_code == 201, answer.text
        for client in (here, there):
            found = [m for m in await client.hear_all(1.5) if m["type"] == "task.created"]
            assert len(found) == 1
            assert found[0]["data"]["task"] == answer.json()["uuid"]
            assert found[0]["id"]


async def test_a_client_that_was_offline_misses_nothing(pair: tuple[Process, Served, Served]) -> None:
    """Acceptance 20: offline under load, back on the other replica; 0 lost, 0 repeated."""
    process, blue, green = pair
    tally = Tally()
    clients = [LoadClient(tally, token_of(each), ["tasks"]) for each in await people(process, 10)]
    await open_clients(clients, url(blue))
    async with Producer(process.database, "tasks") as producer:
        await asyncio.sleep(1)
        for client in clients:
            client.drop()
        await asyncio.sleep(OFFLINE_S)
        clients = [client.again() for client in clients]
        await open_clients(clients, url(green))
        await asyncio.sleep(1)
        await producer.stop()
        await until_all_heard(tally, 10 * producer.count)
        assert producer.count > 20 * OFFLINE_S
    for client in clients:
        client.drop()


async def test_a_replay_is_one_order_over_all_topics_and_once(pair: tuple[Process, Served, Served]) -> None:
    process, blue, green = pair
    boss = await new_caller(process, 2)
    own = f"user.{boss.user}"
    async with heard(blue, boss, "tasks", "alerts") as client:
        for n in range(6):
            topics = (("tasks", own), ("alerts",), (own,))[n % 3]
            await publish(process.database, *topics, n=n)
        while len(client.events) < 6:
            await client.hear("alert")
    first = client.events[0]["id"]
    async with peer(green) as back:
        await back.say(type="auth", token=token_of(boss), last_id=first)
        await back.hear("welcome")
        await back.say(type="subscribe", topics=["tasks", "alerts"])
        await publish(process.database, "tasks", own, n=6)
        while len(back.events) < 6:
            await back.hear("alert")
        assert back.numbers() == [1, 2, 3, 4, 5, 6]
        assert [event["id"] for event in back.events[:5]] == [event["id"] for event in client.events[1:]]
        assert await back.hear_all(0.5) == []
    async with peer(green, token_of(boss)) as late:  # the replay is asked for with the subscription
        await late.hear("welcome")
        await publish(process.database, own, n=7)
        await late.hear("alert")
        await late.say(type="subscribe", topics=["tasks", own], last_id=first)
        heard_again = [m for m in await late.hear_all(1) if m["id"]]
        assert [m["data"]["n"] for m in heard_again] == [2, 3, 5, 6]  # 4 was for alerts, 7 was heard live


async def test_who_says_what_it_saw_and_subscribes_to_nothing_still_hears_its_own(
    pair: tuple[Process, Served, Served],
) -> None:
    process, blue, _ = pair
    someone = await new_caller(process, 1)
    async with peer(blue, token_of(someone)) as client:
        seen = (await client.hear("welcome"))["data"]["last_id"]
    await publish(process.database, f"user.{someone.user}", n=1)
    async with peer(blue) as back:
        await back.say(type="auth", token=token_of(someone), last_id=seen)
        await back.hear("alert")
        assert back.numbers() == [1]


@pytest.mark.parametrize("last_id", ["1-0", "99999999999999-0", "1700000000000-5"])
async def test_what_cannot_be_replayed_is_said(pair: tuple[Process, Served, Served], last_id: str) -> None:
    """Older than what is kept, or of another stream."""
    process, blue, _ = pair
    boss = await new_caller(process, 2)
    await publish(process.database, "tasks", n=0)
    await all_published(process.database)
    async with peer(blue) as client:
        await client.say(type="auth", token=token_of(boss), last_id=last_id)
        await client.say(type="subscribe", topics=["tasks"])
        assert (await client.hear("replay_gap"))["data"] == {"reason": "trimmed"}
        await publish(process.database, "tasks", n=1)
        await client.hear("alert")
        assert client.numbers() == [1]


async def test_a_trimmed_stream_is_a_gap_and_more_than_is_kept_here_comes_from_redis(
    pair: tuple[Process, Served, Served], stores: Stores
) -> None:
    process, blue, green = pair
    boss = await new_caller(process, 2)
    own = f"user.{boss.user}"
    async with peer(blue, token_of(boss)) as client:
        seen = (await client.hear("welcome"))["data"]["last_id"]
    await publish_many(process.database, own, 4500)  # a process keeps 2,000 to 4,000 itself
    async with peer(blue) as back:
        await back.say(type="auth", token=token_of(boss), last_id=seen)
        async with asyncio.timeout(20):
            while len(back.events) < 4500:
                await back.hear("alert")
        assert back.numbers() == [*range(4500)]
    stream = Stream(stores.redis_url, name="test-trim")
    await stream._redis.xtrim(STREAM, maxlen=3000, approximate=False)
    await stream.close()
    async with peer(green) as late:
        await late.say(type="auth", token=token_of(boss), last_id=seen)
        await late.hear("replay_gap")


async def test_redis_away_is_told_and_events_follow(
    pair: tuple[Process, Served, Served], stores: Stores
) -> None:
    """Acceptance 32: a task is created meanwhile, and its event comes when Redis is back."""
    process, blue, green = pair
    boss = await new_caller(process, 2)
    async with heard(green, boss, "tasks") as client:
        await asyncio.to_thread(stores.redis.stop, timeout=5)
        try:
            degraded = await client.hear("system.degraded", within_s=8)
            assert (degraded["topic"], degraded["data"]) == ("system", {"component": "redis"})
            body = {
                "title": "Vigilancia del puente viejo",
                "type": "surveillance",
                "planned_start": "2026-12-01T10:00:00Z",
            }
            answer = await asyncio.to_thread(
                blue.public.post, "/api/v1/tasks", json=body, headers=boss.headers
            )
            assert answer.status_code == 201, answer.text
            async with peer(green, token_of(boss)) as late:
                await late.hear("welcome")
                await late.hear("system.degraded")
            assert metric(green, "gad_outbox_pending") >= 1
        finally:
            await asyncio.to_thread(stores.redis.start)
            await asyncio.to_thread(wait_for, stores.redis_answers, "Redis answers")
        heard_now = await client.hear_all(6)
        kinds = [message["type"] for message in heard_now if message["type"] != "ping"]
        assert kinds.count("task.created") == 1
        assert "system.restored" in kinds


async def test_a_killed_slot_costs_its_clients_nothing(stores: Stores, tmp_path: Path) -> None:
    """Each goes to the other slot with the last id it saw, under 50 messages a second."""
    with replicas(stores, tmp_path, "blue", "green") as (process, (blue, green)):
        blue.wait_ready(200)
        green.wait_ready(200)
        tally = Tally()
        clients = [LoadClient(tally, token_of(each), ["tasks"]) for each in await people(process, 20)]
        await open_clients(clients, url(blue))
        async with Producer(process.database, "tasks") as producer:
            await asyncio.sleep(1.5)
            blue.child.kill()
            back = await asyncio.gather(*(come_back(client, url(green)) for client in clients))
            await asyncio.sleep(4)  # the other may have had to become the leader
            await producer.stop()
            await until_all_heard(tally, 20 * producer.count)
        assert tally.closed[1006] == 20
        for client in back:
            client.drop()
        await process.close()


async def come_back(client: LoadClient, address: str) -> LoadClient:
    await client.gone
    return await open_client(client.again(), address)


async def test_a_slot_that_leaves_sends_its_clients_away_within_10_s(stores: Stores, tmp_path: Path) -> None:
    """Acceptance 22, and nobody misses anything on the way."""
    live = tmp_path / "live"
    write(live, "blue")
    with replicas(stores, tmp_path, "blue", "green", GAD_LIVE_SLOT_FILE=str(live)) as (
        process,
        (blue, green),
    ):
        blue.wait_ready(200)
        tally = Tally()
        clients = [LoadClient(tally, token_of(each), ["tasks"]) for each in await people(process, 20)]
        await open_clients(clients, url(blue))
        boss = await new_caller(process, 2)
        async with peer(blue, token_of(boss)) as client:
            await client.hear("welcome")
            async with Producer(process.database, "tasks") as producer:
                await asyncio.sleep(1)
                write(live, "green")
                began = time.monotonic()
                told = await client.hear("reconnect")
                assert 0 <= told["data"]["after_ms"] <= 5000
                assert await client.close_code() == 1012
                back = await asyncio.gather(*(come_back(each, url(green)) for each in clients))
                assert time.monotonic() - began < 10
                assert tally.closed == {1012: 20}
                green.wait_ready(200)
                await asyncio.sleep(3)
                await producer.stop()
                await until_all_heard(tally, 20 * producer.count)
            assert blue.ready().status_code == 503
        for each in back:
            each.drop()
        await process.close()


async def test_a_stop_under_load_is_1012_for_all_and_exit_0_in_time(stores: Stores, tmp_path: Path) -> None:
    """Product contract, section 14: SIGTERM; and, section 5, so many sockets a minute for a person."""
    with replicas(stores, tmp_path, "blue", "green", GAD_RATE_WS="2") as (process, (blue, green)):
        blue.wait_ready(200)
        green.wait_ready(200)
        tally = Tally()
        clients = [LoadClient(tally, token_of(each), ["tasks"]) for each in await people(process, 20)]
        await open_clients(clients, url(blue))
        async with Producer(process.database, "tasks") as producer:
            await asyncio.sleep(1)
            began = time.monotonic()
            blue.terminate()
            back = await asyncio.gather(*(come_back(each, url(green)) for each in clients))
            assert time.monotonic() - began < 10
            assert await asyncio.to_thread(blue.child.wait, 25) == 0
            assert time.monotonic() - began < 25
            await asyncio.sleep(3)
            await producer.stop()
            await until_all_heard(tally, 20 * producer.count)
        assert tally.closed == {1012: 20}
        assert "Traceback" not in blue.log.read_text()
        async with peer(green, clients[0].token) as third:
            assert await third.close_code() == 4429
        for each in back:
            each.drop()
        await process.close()


async def run_load(
    process: Process, api: Served, *, clients: int, per_s: float, seconds: float
) -> tuple[Tally, int]:
    """So many clients of one topic, each with so many messages a second."""
    tally = Tally()
    persons = await people(process, min(clients, 50))
    tokens: Sequence[str] = [token_of(each) for each in persons]
    made = [LoadClient(tally, tokens[n % len(tokens)], ["alerts"]) for n in range(clients)]
    await open_clients(made, url(api))
    async with Producer(process.database, "alerts", per_s) as producer:
        await asyncio.sleep(seconds)
        await producer.stop()
        await until_all_heard(tally, clients * producer.count)
    for client in made:
        client.drop()
    return tally, producer.count


async def test_many_clients_hear_everything_in_time(pair: tuple[Process, Served, Served]) -> None:
    """Product contract, section 15; the short form proves the count, the long one the time too."""
    process, blue, _ = pair
    clients, seconds = (1000, 30) if LONG else (200, 5)
    tally, count = await run_load(process, blue, clients=clients, per_s=10, seconds=seconds)
    print(f"{clients} clients, {count} messages: p50 {tally.delay_ms(0.5)} ms, p95 {tally.delay_ms(0.95)} ms")
    assert count >= 8 * seconds
    assert tally.delay_ms(0.95) <= (100 if LONG else 1000)
    is_empty = lambda: metric(blue, "gad_ws_connections") == 0  # noqa: E731
    await asyncio.to_thread(wait_for, is_empty, "all are gone", within_s=10)
