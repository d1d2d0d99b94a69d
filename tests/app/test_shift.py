"""Shifts of officers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bodies import Caller, Callers, assert_problem
from on_duty import OFFICERS, audits, events
from stores import Stores

from app.officer.shift_schemas import ShiftPage

MONDAY = datetime(2026, 3, 2, 6, tzinfo=UTC)


def path(who: Caller) -> str:
    return f"{OFFICERS}/{who.officer}/shifts"


def shift(begins: datetime, hours: float = 8) -> dict[str, str]:
    return {"starts_at": begins.isoformat(), "ends_at": (begins + timedelta(hours=hours)).isoformat()}


async def add(client: httpx.AsyncClient, who: Caller, by: Caller, body: dict[str, str]) -> Any:
    made = await client.post(path(who), json=body, headers=by.headers)
    assert made.status_code == 201, made.text
    return made.json()


async def test_a_shift_is_added_listed_and_taken_back(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    me, chief = await caller(1, is_officer=True), await caller(2)
    made = await client.post(path(me), json=shift(MONDAY), headers=chief.headers)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{path(me)}/{made.json()['uuid']}"
    assert made.headers["etag"] == '"1"'
    assert (made.json()["starts_at"], made.json()["ends_at"]) == (
        "2026-03-02T06:00:00Z",
        "2026-03-02T14:00:00Z",
    )
    listed = await client.get(path(me), headers=me.headers)
    assert listed.json() == {"items": [made.json()], "next_cursor": None}

    assert_problem(
        await client.delete(made.headers["location"], headers=chief.headers), 428, "precondition_required"
    )
    stale = await client.delete(made.headers["location"], headers={**chief.headers, "If-Match": '"2"'})
    assert_problem(stale, 412, "stale")
    tagged = {**chief.headers, "If-Match": '"1"'}
    gone = await client.delete(made.headers["location"], headers=tagged)
    assert (gone.status_code, gone.content) == (204, b"")
    assert_problem(await client.delete(made.headers["location"], headers=tagged), 404, "not_found")
    assert (await client.get(path(me), headers=me.headers)).json()["items"] == []
    # The time is free again.
    await add(client, me, chief, shift(MONDAY))

    payload = {"fields": ["shifts"], "shift": made.json()["uuid"]}
    assert (await audits(stores, f"officer/{me.officer}"))[:2] == [
        ("officer.shift.create", chief.user, True, payload),
        ("officer.shift.delete", chief.user, True, payload),
    ]
    assert [each[0] for each in await events(stores, f"officer.{me.officer}")] == ["officer.updated"] * 3


async def test_shifts_that_meet_do_not_overlap(client: httpx.AsyncClient, caller: Callers) -> None:
    me, other, chief = await caller(1, is_officer=True), await caller(1, is_officer=True), await caller(2)
    await add(client, me, chief, shift(MONDAY))
    await add(client, me, chief, shift(MONDAY + timedelta(hours=8)))
    await add(client, other, chief, shift(MONDAY))
    for begins in (MONDAY - timedelta(hours=7), MONDAY, MONDAY + timedelta(hours=15)):
        refused = await client.post(path(me), json=shift(begins), headers=chief.headers)
        assert_problem(refused, 409, "shift_overlap")


async def test_of_overlapping_shifts_at_once_one_is_made(client: httpx.AsyncClient, caller: Callers) -> None:
    me, chief = await caller(1, is_officer=True), await caller(2)
    bodies = [shift(MONDAY + timedelta(minutes=n)) for n in range(10)]
    answers = await asyncio.gather(
        *(client.post(path(me), json=each, headers=chief.headers) for each in bodies)
    )
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 9]
    assert len((await client.get(path(me), headers=me.headers)).json()["items"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        shift(MONDAY, 0),
        shift(MONDAY, -1),
        shift(MONDAY, 31 * 24 + 1),
        {"starts_at": "2026-03-02T06:00:00", "ends_at": "2026-03-02T14:00:00"},
        {"starts_at": "0001-01-01T00:00:00+07:00", "ends_at": "0001-01-01T08:00:00+07:00"},
    ],
    ids=["empty", "backwards", "a month", "no zone", "no such year"],
)
async def test_a_shift_is_a_span_of_this_time(
    client: httpx.AsyncClient, caller: Callers, body: dict[str, str]
) -> None:
    me, chief = await caller(1, is_officer=True), await caller(2)
    assert_problem(await client.post(path(me), json=body, headers=chief.headers), 422, "invalid")


async def test_pages_begin_with_the_latest(client: httpx.AsyncClient, caller: Callers) -> None:
    me, chief = await caller(1, is_officer=True), await caller(2)
    made = [await add(client, me, chief, shift(MONDAY + timedelta(days=n))) for n in (2, 0, 4, 1, 3)]
    latest_first = sorted(made, key=lambda each: str(each["starts_at"]), reverse=True)
    seen: list[Any] = []
    query: dict[str, str] = {"limit": "2"}
    for _ in range(3):
        answer = (await client.get(path(me), params=query, headers=me.headers)).json()
        page = ShiftPage.model_validate(answer, strict=False)
        seen += answer["items"]
        query["cursor"] = page.next_cursor or ""
    assert seen == latest_first
    assert query["cursor"] == ""


async def test_one_key_is_one_shift(client: httpx.AsyncClient, caller: Callers) -> None:
    me, chief = await caller(1, is_officer=True), await caller(2)
    headers = {**chief.headers, "Idempotency-Key": f"k-{uuid4()}"}
    answers = [await client.post(path(me), json=shift(MONDAY), headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


async def test_officers_see_their_own_and_plan_none(client: httpx.AsyncClient, caller: Callers) -> None:
    me, other, chief = await caller(1, is_officer=True), await caller(1, is_officer=True), await caller(2)
    made = await add(client, me, chief, shift(MONDAY))
    assert (await client.get(path(me), headers=chief.headers)).status_code == 200
    one = f"{path(me)}/{made['uuid']}"
    for refused in (
        await client.get(path(me), headers=other.headers),
        await client.post(path(me), json=shift(MONDAY), headers=me.headers),
        await client.delete(one, headers={**me.headers, "If-Match": "*"}),
    ):
        assert_problem(refused, 403, "forbidden")
    nobody = f"{OFFICERS}/{uuid4()}/shifts"
    assert_problem(await client.get(nobody, headers=chief.headers), 404, "not_found")
    assert_problem(await client.post(nobody, json=shift(MONDAY), headers=chief.headers), 404, "not_found")
    # A shift is found below its own officer alone.
    wrong = f"{path(other)}/{made['uuid']}"
    assert_problem(await client.delete(wrong, headers={**chief.headers, "If-Match": "*"}), 404, "not_found")
