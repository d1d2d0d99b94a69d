"""POST /tasks/emergency: who is sent, what is left, and what happens when nobody can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bodies import Caller, Callers, assert_problem
from on_duty import EMERGENCY, OFFICERS, audits, events, open_assignment, restrict, share_position
from stores import Stores

from app.policy import API
from app.task.emergency_schemas import EmergencyRead

M = 1 / 111_195  # degrees of a meridian, for a metre


@pytest.fixture
async def place(stores: Stores) -> AsyncIterator[tuple[float, float]]:
    """A part of the world where nobody is; those who were sent there are gone afterwards."""
    number = (await stores.fetch("SELECT count(*) FROM officers"))[0][0]
    here = (-60.0 + number % 100, 20.0 + number // 100 % 100)
    yield here
    await stores.fetch("UPDATE officers SET last_position = NULL, position_at = NULL")


async def stands(
    client: httpx.AsyncClient, caller: Callers, place: tuple[float, float], *, metres: float, **how: Any
) -> Caller:
    """An officer so far north of the place."""
    who: Caller = await caller(1, is_officer=True)
    there = await share_position(client, who, lat=place[0] + metres * M, lon=place[1], **how)
    assert there.status_code == 204, there.text
    return who


def call(place: tuple[float, float], **changes: object) -> dict[str, object]:
    return {"lat": place[0], "lon": place[1], **changes}


async def shown(stores: Stores, who: Caller) -> Any:
    return (await stores.fetch("SELECT availability FROM officers WHERE uuid = $1", who.officer))[0][0]


async def test_the_nearest_are_sent_and_the_task_is_under_way(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, place: tuple[float, float]
) -> None:
    far, near, middle = [await stands(client, caller, place, metres=m) for m in (900, 100, 500)]
    me = await caller(1)
    body = call(place, officers=2, title="Asalto en la calle Foch", description="Dos personas.")
    made = await client.post(EMERGENCY, json=body, headers=me.headers)
    assert made.status_code == 201, made.text
    answer = EmergencyRead.model_validate(made.json(), strict=False)
    task = made.json()["task"]

    assert [str(each.officer_id) for each in answer.officers] == [near.officer, middle.officer]
    assert [each.distance_m for each in answer.officers] == pytest.approx([100, 500], rel=0.01)
    assert [str(each.officer_id) for each in answer.task.officers] == [near.officer, middle.officer]
    assert all(each.engaged for each in answer.task.officers)
    assert (task["type"], task["priority"], task["status"]) == ("intervention", "critical", "in_progress")
    assert (task["title"], task["description"]) == (body["title"], body["description"])
    assert (task["delegate"], task["created_by"]) == (near.user, me.user)
    assert task["location"] == {"lat": place[0], "lon": place[1]}
    assert task["actual_start"] == task["planned_start"]
    assert task["code"].startswith("EMG-")
    assert made.headers["location"] == f"{API}/tasks/{task['uuid']}"
    assert made.headers["etag"] == '"1"'
    # It is theirs now, and a task as any other.
    assert (await client.get(made.headers["location"], headers=near.headers)).json() == task
    assert [await shown(stores, each) for each in (near, middle, far)] == ["on_task", "on_task", "available"]


async def test_it_leaves_history_audit_events_and_a_notice(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, place: tuple[float, float]
) -> None:
    sent = [await stands(client, caller, place, metres=m) for m in (100, 200)]
    me = await caller(1)
    made = (await client.post(EMERGENCY, json=call(place, officers=2), headers=me.headers)).json()
    task = made["task"]
    uuid = task["uuid"]

    rows = await stores.fetch(
        "SELECT h.event, h.from_status, h.to_status, CAST(u.uuid AS text) FROM task_history h"
        " JOIN tasks t ON t.id = h.task_id JOIN users u ON u.id = h.actor_id WHERE t.uuid = $1",
        uuid,
    )
    assert rows == [("emergency", None, "in_progress", me.user)]
    audited = await audits(stores, f"task/{uuid}")
    assert [each[:3] for each in audited] == [("task.emergency", me.user, True)]
    severity = await stores.fetch("SELECT severity FROM audit_events WHERE resource = $1", f"task/{uuid}")
    assert severity == [("high",)]

    people = sorted(f"user.{each.user}" for each in sent)
    told = await events(stores, f"task.{uuid}")
    assert [each[:2] for each in told] == [
        ("emergency.created", ["tasks", "emergencies", f"task.{uuid}", *people])
    ]
    assert (told[0][2]["task"], told[0][2]["code"], told[0][2]["version"]) == (uuid, task["code"], 1)
    for each in sent:
        mine = [
            (kind, data)
            for kind, _, data in await events(stores, f"user.{each.user}")
            if kind != "officer.location"
        ]
        assert [kind for kind, _ in mine] == ["emergency.created", "officer.availability", "notification"]
        assert (mine[1][1]["officer"], mine[1][1]["availability"], mine[1][1]["version"]) == (
            each.officer,
            "on_task",
            2,
        )
        assert mine[2][1] == {
            "notification": mine[2][1]["notification"],
            "title": "Emergencia",
            "text": f"Se te asignó {task['code']}; ya está en curso.",
            "sender": me.user,
            "task": uuid,
        }
    officer = await client.get(f"{OFFICERS}/{sent[0].officer}", headers=sent[0].headers)
    assert officer.headers["etag"] == '"2"'


async def test_without_a_title_it_is_named_by_its_code(
    client: httpx.AsyncClient, caller: Callers, place: tuple[float, float]
) -> None:
    await stands(client, caller, place, metres=10)
    made = (await client.post(EMERGENCY, json=call(place), headers=(await caller(1)).headers)).json()
    assert made["task"]["title"] == f"Emergencia {made['task']['code']}"
    assert made["task"]["description"] is None


async def test_fewer_than_wanted_are_sent_too(
    client: httpx.AsyncClient, caller: Callers, place: tuple[float, float]
) -> None:
    only = await stands(client, caller, place, metres=10)
    made = await client.post(EMERGENCY, json=call(place, officers=5), headers=(await caller(1)).headers)
    assert made.status_code == 201
    assert [each["officer_id"] for each in made.json()["officers"]] == [only.officer]


async def test_who_cannot_come_is_passed_over(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, place: tuple[float, float]
) -> None:
    """Each in their own way; the one who can come is farther than all of them."""
    now = datetime.now(UTC)
    chief = await caller(2)
    off_duty, restricted, gone, left, busy, engaged, off_shift = [
        await stands(client, caller, place, metres=10 + n) for n in range(7)
    ]
    await stands(client, caller, place, metres=20, at=now - timedelta(minutes=31))
    fit = await stands(client, caller, place, metres=900, at=now - timedelta(minutes=29))
    later = await stands(client, caller, place, metres=950)
    await client.put(
        f"{OFFICERS}/{off_duty.officer}/availability",
        json={"availability": "off_duty"},
        headers=off_duty.headers,
    )
    await restrict(stores, restricted.user)
    await asyncio.to_thread(stores.stamp, "users", "deleted_at", gone.user)
    await asyncio.to_thread(stores.stamp, "officers", "deleted_at", str(left.officer))
    # Available by their own word, and yet not free in the next two hours.
    await open_assignment(stores, str(busy.officer), engaged=False, starts_in=timedelta(minutes=119))
    await open_assignment(stores, str(engaged.officer), engaged=True, starts_in=timedelta(days=-2))
    for who, begins in ((off_shift, 4), (fit, -4)):
        shift = {
            "starts_at": (now + timedelta(hours=begins)).isoformat(),
            "ends_at": (now + timedelta(hours=begins + 8)).isoformat(),
        }
        added = await client.post(f"{OFFICERS}/{who.officer}/shifts", json=shift, headers=chief.headers)
        assert added.status_code == 201
    # A place in a task after this one's two hours is no hindrance.
    await open_assignment(stores, str(later.officer), engaged=False, starts_in=timedelta(minutes=121))

    made = await client.post(EMERGENCY, json=call(place, officers=5), headers=chief.headers)
    assert [each["officer_id"] for each in made.json()["officers"]] == [fit.officer, later.officer]


@pytest.mark.parametrize(("max_m", "status"), [(990, 404), (1010, 201)])
async def test_nobody_comes_from_beyond_the_distance(
    client: httpx.AsyncClient, caller: Callers, place: tuple[float, float], max_m: float, status: int
) -> None:
    await stands(client, caller, place, metres=1000)
    near = await client.get(
        f"{OFFICERS}/nearest",
        params={"lat": place[0], "lon": place[1], "limit": 1},
        headers=(await caller(2)).headers,
    )
    exact = near.json()["items"][0]["distance_m"]
    body = call(place, max_distance_m=exact * max_m / 1000)
    made = await client.post(EMERGENCY, json=body, headers=(await caller(1)).headers)
    assert made.status_code == status, made.text


async def counts(stores: Stores) -> Any:
    return (
        await stores.fetch(
            "SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM task_history),"
            " (SELECT count(*) FROM task_assignments)"
        )
    )[0]


async def test_nobody_in_range_is_an_alert_and_no_task(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, place: tuple[float, float]
) -> None:
    me = await caller(1)
    before, alerts = await counts(stores), len(await events(stores, "alerts"))
    headers = {**me.headers, "Idempotency-Key": f"k-{uuid4()}"}
    body = call(place, officers=2, max_distance_m=1000)
    for attempt in (1, 2):
        refused = await client.post(EMERGENCY, json=body, headers=headers)
        assert_problem(refused, 404, "no_officer_available")
        told = (await events(stores, "alerts"))[alerts:]
        assert (
            told
            == [
                (
                    "alert",
                    ["alerts"],
                    {
                        "kind": "no_officer_available",
                        "raised_by": me.user,
                        "lat": place[0],
                        "lon": place[1],
                        "officers": 2,
                        "max_distance_m": 1000.0,
                    },
                )
            ]
            * attempt
        )
    assert await counts(stores) == before
    assert (
        await audits(stores, f"user/{me.user}")
        == [("task.emergency", me.user, False, {"code": "no_officer_available"})] * 2
    )

    # The same key, once somebody is there: now it is done, and done once.
    who = await stands(client, caller, place, metres=10)
    made = await client.post(EMERGENCY, json=body, headers=headers)
    again = await client.post(EMERGENCY, json=body, headers=headers)
    assert (made.status_code, again.status_code) == (201, 201)
    assert [each["officer_id"] for each in made.json()["officers"]] == [who.officer]
    assert (again.json(), again.headers["location"]) == (made.json(), made.headers["location"])
    assert (await counts(stores))[0] == before[0] + 1
    other = await client.post(EMERGENCY, json=call(place), headers=headers)
    assert_problem(other, 422, "idempotency_mismatch")


@pytest.mark.parametrize(
    "change",
    [
        {"officers": 0},
        {"officers": 6},
        {"officers": True},
        {"max_distance_m": 0},
        {"max_distance_m": 100_001},
        {"title": "corto"},
        {"lat": 91},
        {"lon": None},
        {"code": "EMG-1"},
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, change: dict[str, object]
) -> None:
    alerts = len(await events(stores, "alerts"))
    body = {**call((0.0, 0.0)), **change}
    refused = await client.post(EMERGENCY, json=body, headers=(await caller(1)).headers)
    assert_problem(refused, 422, "invalid")
    assert len(await events(stores, "alerts")) == alerts


async def test_its_end_sets_the_officers_free_and_is_told(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, place: tuple[float, float]
) -> None:
    who = await stands(client, caller, place, metres=10)
    made = await client.post(EMERGENCY, json=call(place), headers=(await caller(1)).headers)
    path, uuid = made.headers["location"], made.json()["task"]["uuid"]
    off = {"availability": "off_duty"}
    refused = await client.put(f"{OFFICERS}/{who.officer}/availability", json=off, headers=who.headers)
    assert_problem(refused, 409, "officer_engaged")

    assert (await client.post(f"{path}/finish", headers=who.headers)).status_code == 200
    told = await events(stores, f"task.{uuid}")
    assert [each[0] for each in told] == ["emergency.created", "task.status", "emergency.closed"]
    assert "emergencies" in told[2][1]
    assert (told[2][2]["status"], told[2][2]["code"]) == ("finished", made.json()["task"]["code"])
    assert await shown(stores, who) == "available"
    again = await client.post(EMERGENCY, json=call(place), headers=(await caller(1)).headers)
    assert [each["officer_id"] for each in again.json()["officers"]] == [who.officer]
