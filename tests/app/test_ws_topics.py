"""`/ws` of one process: who may hear what, and that each event comes once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from bodies import Caller, Callers, new_caller
from served import Served
from sockets import peer, publish, ready, token_of
from sqlalchemy import text
from stores import Stores

from app.db import Read
from app.main import Process


@pytest.fixture(scope="module")
async def both(
    stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Process, Served]]:
    async with ready(stores, tmp_path_factory.mktemp("ws"), "blue") as (process, (api,)):
        yield process, api


@pytest.fixture
def api(both: tuple[Process, Served]) -> Served:
    return both[1]


@pytest.fixture
def process(both: tuple[Process, Served]) -> Process:
    return both[0]


@pytest.fixture
def caller(process: Process) -> Callers:
    return partial(new_caller, process)


async def test_topics_by_level(api: Served, process: Process, caller: Callers) -> None:
    """Acceptance 18: level 1 on tasks is denied."""
    one, two = await caller(1, is_officer=True), await caller(2)
    shared = ["tasks", "officers", "emergencies", "alerts"]
    single = [f"task.{uuid4()}", f"officer.{uuid4()}"]
    strange = [f"user.{two.user}", "everything", "task.1", f"task.{uuid4()}".upper(), "system.x"]
    async with peer(api, token_of(one)) as client:
        await client.hear("welcome")
        await client.say(
            type="subscribe", topics=[*shared, *single, *strange, "system", f"officer.{one.officer}"]
        )
        assert sorted((await client.hear("denied"))["data"]["topics"]) == sorted([*shared, *single, *strange])
        own = sorted([f"officer.{one.officer}", "system", f"user.{one.user}"])
        assert (await client.hear("subscribed"))["data"]["topics"] == own
    async with peer(api, token_of(two)) as client:
        await client.hear("welcome")
        await client.say(type="subscribe", topics=[*shared, *single])
        topics = (await client.hear("subscribed"))["data"]["topics"]
        assert topics == sorted([*shared, *single, "system", f"user.{two.user}"])
        await client.say(type="unsubscribe", topics=[*shared, "system"])
        topics = (await client.hear("subscribed"))["data"]["topics"]
        assert topics == sorted([*single, "system", f"user.{two.user}"])
        await publish(process.database, "tasks", n=1)
        await publish(process.database, single[0], n=2)
        assert (await client.hear("alert"))["data"] == {"n": 2}


async def test_an_event_comes_once_whatever_matches(api: Served, process: Process, caller: Callers) -> None:
    someone, other = await caller(2), await caller(1)
    task = f"task.{uuid4()}"
    async with peer(api, token_of(someone)) as client, peer(api, token_of(other)) as stranger:
        await client.hear("welcome")
        await stranger.hear("welcome")
        await client.say(type="subscribe", topics=["tasks", task, "alerts"])
        await client.hear("subscribed")
        for n in range(3):
            await publish(process.database, "tasks", task, f"user.{someone.user}", "alerts", n=n)
        await publish(process.database, f"user.{other.user}", n=9)
        await publish(process.database, "system", n=10)
        while len(client.events) < 4:
            event = await client.hear("alert")
        assert client.numbers() == [0, 1, 2, 10]
        assert (event["topic"], event["ts"][-1]) == ("system", "Z")
        assert client.events[0]["topic"] == "tasks"
        await stranger.hear("alert")
        await stranger.hear("alert")
        assert stranger.numbers() == [9, 10]


async def test_more_topics_than_allowed(api: Served, caller: Callers) -> None:
    async with peer(api, token_of(await caller(2))) as client:
        await client.hear("welcome")
        await client.say(type="subscribe", topics=[f"task.{uuid4()}" for _ in range(199)])
        assert (await client.hear("error"))["data"] == {"code": "too_many_topics"}
        await client.say(type="subscribe", topics=[f"task.{uuid4()}" for _ in range(198)])
        assert len((await client.hear("subscribed"))["data"]["topics"]) == 200


async def test_ownership_is_asked_again_when_it_may_have_ended(
    api: Served, process: Process, caller: Callers
) -> None:
    """Level 1 hears of a task as long as it is theirs; what ended it they hear no more."""
    boss, worker = await caller(2), await caller(1, is_officer=True)
    task = await new_task(api, boss, worker)
    uuid = task["uuid"]
    async with peer(api, token_of(worker)) as client, peer(api, token_of(boss)) as sees:
        await client.hear("welcome")
        await sees.hear("welcome")
        for each in (client, sees):
            await each.say(type="subscribe", topics=[f"task.{uuid}"])
            await each.hear("subscribed")
        for n in (1, 2):  # still theirs: each comes, in order, once
            await publish(process.database, f"task.{uuid}", kind="task.updated", n=n)
        await publish(process.database, f"task.{uuid}", n=3)
        await client.hear("alert")
        assert client.numbers() == [1, 2, 3]
        path = f"/api/v1/tasks/{uuid}/assignments/{worker.officer}"
        assert api.public.delete(path, headers=boss.headers | {"If-Match": "*"}).status_code == 204
        assert (await client.hear("denied"))["data"]["topics"] == [f"task.{uuid}"]
        await publish(process.database, f"task.{uuid}", n=4)
        await publish(process.database, f"user.{worker.user}", n=5)
        await client.hear("alert")
        assert client.numbers() == [1, 2, 3, 5]
        await sees.hear("alert")
        await sees.hear("alert")
        assert sees.events[-1]["data"]["n"] == 4


async def new_task(api: Served, boss: Caller, worker: Caller) -> dict[str, Any]:
    body = {
        "title": "Patrulla del mercado central",
        "type": "patrol",
        "planned_start": "2026-12-01T10:00:00Z",
        "officers": [worker.officer],
    }
    answer = await asyncio.to_thread(api.public.post, "/api/v1/tasks", json=body, headers=boss.headers)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_refusals_are_audited(api: Served, process: Process, caller: Callers) -> None:
    someone = await caller(1)
    task = uuid4()
    async with peer(api, token_of(someone)) as client:
        await client.hear("welcome")
        await client.say(type="subscribe", topics=[f"task.{task}"])
        await client.hear("subscribed")
    found = await process.database.row(
        Read(
            text(
                "SELECT type, success, payload FROM audit_events WHERE resource = 'WS task'"
                " AND actor_id = (SELECT id FROM users WHERE uuid = CAST(:user AS uuid))"
            )
        ),
        user=someone.user,
    )
    assert found is not None
    assert (found["type"], found["success"]) == ("access.denied", False)
    assert found["payload"]["task"] == str(task)
