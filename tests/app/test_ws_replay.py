"""What a client missed comes when it is back, on any replica: all of it in order and once, or it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from bodies import new_caller
from served import Served
from sockets import all_published, heard, peer, publish, publish_many, ready, token_of
from stores import Stores

from app.main import Process
from app.stream import STREAM, Stream


@pytest.fixture(scope="module")
async def pair(
    stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Process, Served, Served]]:
    async with ready(stores, tmp_path_factory.mktemp("pair"), "blue", "green") as (process, (blue, green)):
        yield process, blue, green


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
