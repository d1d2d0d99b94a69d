"""Two processes on the same stores: what is committed anywhere is heard everywhere, once, whatever dies."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence

import pytest
import redis
from audience import Producer, people, until_all_heard, url
from bodies import new_caller
from served import Served
from sockets import heard, peer, ready, token_of
from stores import Stores, wait_for
from test_health import metric

from app.cached import _generation
from app.main import Process
from app.stats.invalidation import TEAM
from infra.operate.ws_load import LoadClient, Tally, open_clients

LONG = bool(os.environ.get("GAD_TEST_LONG"))
OFFLINE_S = 30 if LONG else 5


@pytest.fixture(scope="module")
async def pair(
    stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Process, Served, Served]]:
    async with ready(stores, tmp_path_factory.mktemp("pair"), "blue", "green") as (process, (blue, green)):
        yield process, blue, green


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
    # It came back empty, so this is what blue owed; nobody asked blue for anything that would remind it.
    with redis.Redis.from_url(stores.redis_url) as store:
        await asyncio.to_thread(wait_for, lambda: store.exists(_generation(TEAM)), "purged", within_s=10)


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
