"""Messages to people, and what administrators are told about sockets."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from bodies import Callers, assert_problem
from sqlalchemy import text

from app.db import Read
from app.main import Process

URL = "/api/v1/notifications"
LAST = Read(
    text(
        "SELECT topics, envelope FROM event_outbox WHERE envelope ->> 'type' = 'notification'"
        " AND envelope -> 'data' ->> 'notification' = :uuid ORDER BY id"
    )
)
PEOPLE = Read(text("SELECT count(*) AS people FROM users WHERE deleted_at IS NULL AND erased_at IS NULL"))
AUDITED = Read(text("SELECT payload FROM audit_events WHERE resource = :resource"))


async def sent(process: Process, answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 202, answer.text
    return await process.database.rows(LAST, uuid=answer.json()["notification"])


async def test_a_note_goes_to_those_named(
    client: httpx.AsyncClient, process: Process, caller: Callers
) -> None:
    boss, one, two = await caller(2), await caller(1), await caller(1)
    body = {"users": [one.user, two.user, one.user], "title": "Aviso", "text": "Primera línea\nsegunda"}
    answer = await client.post(URL, json=body, headers=boss.headers)
    (row,) = await sent(process, answer)
    assert answer.json()["recipients"] == 2
    assert sorted(row["topics"]) == sorted(f"user.{each.user}" for each in (one, two))
    data = row["envelope"]["data"]
    assert (data["title"], data["text"], data["sender"]) == (body["title"], body["text"], boss.user)
    audit = await process.database.row(AUDITED, resource=f"notification/{answer.json()['notification']}")
    assert audit is not None
    assert audit["payload"] == {"audience": "users", "recipients": 2}


async def test_a_note_goes_to_a_level_or_to_all(
    client: httpx.AsyncClient, process: Process, caller: Callers
) -> None:
    boss = await caller(2)
    answer = await client.post(URL, json={"level": 2, "text": "Reunión"}, headers=boss.headers)
    rows = await sent(process, answer)
    topics = [topic for row in rows for topic in row["topics"]]
    assert f"user.{boss.user}" in topics
    assert len(topics) == len(set(topics)) == answer.json()["recipients"]
    there = await process.database.row(PEOPLE)
    answer = await client.post(URL, json={"all": True, "text": "Simulacro"}, headers=boss.headers)
    assert there is not None
    assert answer.json()["recipients"] == there["people"]
    assert [row["topics"] for row in await sent(process, answer)] == [["system"]]


async def test_the_same_key_sends_once(client: httpx.AsyncClient, process: Process, caller: Callers) -> None:
    boss = await caller(2)
    headers = boss.headers | {"Idempotency-Key": uuid4().hex}
    first, second = [
        await client.post(URL, json={"users": [boss.user], "text": "x"}, headers=headers) for _ in range(2)
    ]
    assert first.json() == second.json()
    assert len(await sent(process, second)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x"},
        {"all": True, "level": 1, "text": "x"},
        {"all": False, "text": "x"},
        {"users": [], "text": "x"},
        {"level": 4, "text": "x"},
        {"all": True, "text": ""},
        {"all": True, "text": "x" * 501},
        {"all": True, "text": "x\u0000"},
        {"users": ["x"], "text": "x"},
        {"all": True, "text": "x", "more": 1},
    ],
)
async def test_what_is_no_note_is_refused(
    client: httpx.AsyncClient, caller: Callers, body: dict[str, object]
) -> None:
    assert_problem(await client.post(URL, json=body, headers=(await caller(2)).headers), 422, "invalid")


async def test_to_somebody_unknown_nothing_is_sent(client: httpx.AsyncClient, caller: Callers) -> None:
    boss = await caller(2)
    body = {"users": [boss.user, str(uuid4())], "text": "x"}
    assert_problem(await client.post(URL, json=body, headers=boss.headers), 422, "unknown_user")


async def test_level_1_sends_none(client: httpx.AsyncClient, caller: Callers) -> None:
    headers = (await caller(1)).headers
    assert_problem(await client.post(URL, json={"all": True, "text": "x"}, headers=headers), 403, "forbidden")


async def test_administrators_see_the_sockets(client: httpx.AsyncClient, caller: Callers) -> None:
    answer = await client.get("/api/v1/admin/ws", headers=(await caller(3)).headers)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["slot"], body["connections"], body["topics"], body["publishes"]) == ("blue", 0, 0, False)
    assert set(body["outbox"]) == {"pending", "oldest_s"}
    assert set(body["stream"]) == {"last_id", "read_id"}
    assert_problem(await client.get("/api/v1/admin/ws", headers=(await caller(2)).headers), 403, "forbidden")
