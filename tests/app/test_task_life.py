"""Every action on a task in every status by every kind of caller, and what becomes of its officers."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import product
from uuid import uuid4

import httpx
import pytest
from bodies import Callers, assert_problem
from stores import Stores
from tasks import PATHS, TASKS, act, create, create_in, officers, tables

ACTIONS = ("start", "pause", "resume", "finish", "cancel")
WHO = ("stranger", "delegate", "assigned", "supervisor", "administrator")
ACTIVE = ("programmed", "in_progress", "paused")

# Product contract, section 7.
LEADS_TO = {
    ("programmed", "start"): ("in_progress", "started"),
    ("in_progress", "pause"): ("paused", "paused"),
    ("paused", "resume"): ("in_progress", "resumed"),
    ("in_progress", "finish"): ("finished", "finished"),
    ("paused", "finish"): ("finished", "finished"),
    **{(status, "cancel"): ("cancelled", "cancelled") for status in ACTIVE},
}
ENGAGED = {"in_progress", "paused"}


def wanted_status(status: str, action: str, who: str) -> int:
    """What the contract answers."""
    owns = who == "delegate" or (who == "assigned" and status in ACTIVE)
    if who in {"stranger", "delegate", "assigned"} and (action == "cancel" or not owns):
        return 403
    return 200 if (status, action) in LEADS_TO else 409


@pytest.mark.parametrize(("status", "action", "who"), [*product(PATHS, ACTIONS, WHO)])
async def test_an_action(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, *, status: str, action: str, who: str
) -> None:
    people = {
        "stranger": await caller(1),
        "delegate": await caller(1),
        "assigned": await caller(1, is_officer=True),
        "supervisor": await caller(2),
        "administrator": await caller(3),
    }
    member = str(people["assigned"].officer)
    made = await create_in(
        client, people["supervisor"].headers, status, delegate=people["delegate"].user, officers=[member]
    )
    before = await tables(stores).trail(made["uuid"])
    done = await act(client, people[who].headers, made["uuid"], action)
    wanted = wanted_status(status, action, who)
    assert done.status_code == wanted, done.text

    after = await tables(stores).trail(made["uuid"])
    now, event = LEADS_TO[status, action] if wanted == 200 else (status, "")
    added = tuple(new[len(old) :] for new, old in zip(after, before, strict=True))
    assert added == (([event], [f"task.{action}"], ["task.status"]) if wanted == 200 else ([], [], []))
    is_engaged = now in ENGAGED
    assert await tables(stores).availability(member) == ("on_task" if is_engaged else "available")
    assert await tables(stores).places(made["uuid"]) == [(now in ACTIVE, is_engaged)]
    read = (await client.get(f"{TASKS}/{made['uuid']}", headers=people["supervisor"].headers)).json()
    assert (read["status"], read["version"]) == (now, made["version"] + (wanted == 200))


async def test_the_moments_of_a_life(client: httpx.AsyncClient, caller: Callers) -> None:
    chief = await caller(2)
    made = await create_in(client, chief.headers, "paused", officers=await officers(caller, 1))
    assert made["actual_start"] <= made["paused_at"]
    resumed = (await act(client, chief.headers, made["uuid"], "resume")).json()
    assert (resumed["paused_at"], resumed["actual_end"]) == (None, None)
    assert resumed["paused_s"] > 0
    again = (await act(client, chief.headers, made["uuid"], "pause")).json()
    assert again["paused_s"] == resumed["paused_s"]
    ended = (await act(client, chief.headers, made["uuid"], "finish")).json()
    assert (ended["paused_at"], ended["officers"]) == (None, [])
    assert ended["paused_s"] > again["paused_s"]
    took = datetime.fromisoformat(ended["actual_end"]) - datetime.fromisoformat(ended["actual_start"])
    assert ended["paused_s"] <= took.total_seconds()


async def test_what_an_event_says_and_to_whom(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief, member = await caller(2), await caller(1, is_officer=True)
    made = await create(client, chief.headers, officers=[member.officer])
    await act(client, chief.headers, made["uuid"], "start")
    rows = await tables(stores).rows(
        "SELECT topics, envelope ->> 'type' AS type, envelope #>> '{data,status}' AS status,"
        " envelope #>> '{data,availability}' AS availability, envelope #>> '{data,version}' AS version"
        " FROM event_outbox WHERE $1 = ANY (topics) ORDER BY id",
        f"user.{member.user}",
    )
    people = sorted(f"user.{user}" for user in (chief.user, member.user))
    topics = ["tasks", f"task.{made['uuid']}", *people]
    assert [tuple(row.values()) for row in rows] == [
        (topics, "task.created", "programmed", None, "1"),
        (topics, "task.status", "in_progress", None, "2"),
        (
            ["officers", f"officer.{member.officer}", f"user.{member.user}"],
            "officer.availability",
            None,
            "on_task",
            "2",
        ),
    ]


async def test_a_reason_is_kept_in_the_history_alone(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief = await caller(2)
    made = await create(client, chief.headers)
    url = f"{TASKS}/{made['uuid']}"
    reason = f"Motivo {uuid4().hex}"
    refused = await client.post(f"{url}/cancel", json={"reason": " "}, headers=chief.headers)
    assert_problem(refused, 422, "invalid")
    assert (
        await client.post(f"{url}/cancel", json={"reason": reason}, headers=chief.headers)
    ).status_code == 200
    lines = (await client.get(f"{url}/history", headers=chief.headers)).json()["items"]
    assert (lines[-1]["reason"], lines[-1]["from_status"], lines[-1]["to_status"]) == (
        reason,
        "programmed",
        "cancelled",
    )
    held = await tables(stores).rows(
        "SELECT payload::text AS found FROM audit_events WHERE payload::text LIKE $1"
        " UNION ALL SELECT envelope::text FROM event_outbox WHERE envelope::text LIKE $1",
        f"%{reason}%",
    )
    assert held == []


async def test_a_start_needs_officers_who_are_free(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief = await caller(2)
    empty = await create(client, chief.headers)
    assert_problem(await act(client, chief.headers, empty["uuid"], "start"), 409, "no_officers")

    crew = await officers(caller, 2)
    first = await create_in(client, chief.headers, "paused", officers=crew[:1])
    second = await create(client, chief.headers, officers=crew)
    refused = await act(client, chief.headers, second["uuid"], "start")
    assert_problem(refused, 409, "officer_engaged")
    assert await tables(stores).availability(crew[1]) == "available"
    await act(client, chief.headers, first["uuid"], "finish")
    assert (await act(client, chief.headers, second["uuid"], "start")).status_code == 200


async def test_a_programmed_tasks_end_says_nothing_about_its_officers(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief, admin = await caller(2), await caller(3)
    crew = await officers(caller, 1)
    await create_in(client, chief.headers, "in_progress", officers=crew)
    planned = await create(client, chief.headers, officers=crew)
    other = await create(client, chief.headers, officers=crew)
    await act(client, chief.headers, planned["uuid"], "cancel")
    await client.delete(f"{TASKS}/{other['uuid']}", headers=admin.headers | {"If-Match": "*"})
    assert await tables(stores).availability(crew[0]) == "on_task"


async def test_who_is_restricted_is_not_sent_but_let_go(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief, held = await caller(2), await caller(1, is_officer=True)
    planned = await create(client, chief.headers, officers=[held.officer])
    running = await create_in(client, chief.headers, "in_progress", officers=[held.officer])
    await asyncio.to_thread(stores.stamp, "users", "restricted_at", held.user)
    assert_problem(await act(client, chief.headers, planned["uuid"], "start"), 409, "restricted")
    moved = await client.patch(
        f"{TASKS}/{planned['uuid']}", json={"planned_end": None}, headers=chief.headers | {"If-Match": "*"}
    )
    assert_problem(moved, 409, "restricted")
    read = (await client.get(f"{TASKS}/{planned['uuid']}", headers=chief.headers)).json()
    assert [each["name"] for each in read["officers"]] == [None]
    assert (await act(client, chief.headers, running["uuid"], "finish")).status_code == 200
    assert (await act(client, chief.headers, planned["uuid"], "cancel")).status_code == 200


async def test_an_action_is_done_once(client: httpx.AsyncClient, caller: Callers, stores: Stores) -> None:
    chief = await caller(2)
    made = await create(client, chief.headers, officers=await officers(caller, 1))
    headers = chief.headers | {"Idempotency-Key": uuid4().hex}
    answers = [await act(client, headers, made["uuid"], "start") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert (await tables(stores).trail(made["uuid"]))[0] == ["created", "started"]


@pytest.mark.parametrize("status", ["programmed", "in_progress", "paused"])
async def test_one_officer_more_and_one_less(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, status: str
) -> None:
    chief = await caller(2)
    first, second = await officers(caller, 2)
    made = await create_in(client, chief.headers, status, officers=[first])
    url = f"{TASKS}/{made['uuid']}/assignments"
    engaged = status in ENGAGED
    before = await tables(stores).trail(made["uuid"])

    come = await client.post(url, json={"officer": second}, headers=chief.headers)
    assert (come.status_code, come.headers["location"]) == (201, f"{url}/{second}")
    assert come.headers["etag"] == f'"{made["version"] + 1}"'
    assert [each["officer_id"] for each in come.json()["officers"]] == [first, second]
    assert await tables(stores).places(made["uuid"]) == [(True, engaged)] * 2
    assert await tables(stores).availability(second) == ("on_task" if engaged else "available")
    again = await client.post(url, json={"officer": second}, headers=chief.headers)
    assert_problem(again, 409, "already_assigned")

    match = chief.headers | {"If-Match": come.headers["etag"]}
    gone = await client.delete(f"{url}/{first}", headers=match)
    assert (gone.status_code, gone.content) == (204, b"")
    assert gone.headers["etag"] == f'"{made["version"] + 2}"'
    assert await tables(stores).availability(first) == "available"
    assert await tables(stores).places(made["uuid"]) == [(False, False), (True, engaged)]
    match = chief.headers | {"If-Match": gone.headers["etag"]}
    assert_problem(await client.delete(f"{url}/{first}", headers=match), 404, "not_found")

    last = await client.delete(f"{url}/{second}", headers=match)
    assert last.status_code == (409 if engaged else 204)
    after = await tables(stores).trail(made["uuid"])
    added = [new[len(old) :] for new, old in zip(after, before, strict=True)]
    less = 1 if engaged else 2
    assert added == [
        ["assigned", *["unassigned"] * less],
        ["task.assign", *["task.unassign"] * less],
        ["task.assigned", *["task.unassigned"] * less],
    ]


async def test_who_cannot_be_assigned(client: httpx.AsyncClient, caller: Callers, stores: Stores) -> None:
    chief, held = await caller(2), await caller(1, is_officer=True)
    await asyncio.to_thread(stores.stamp, "users", "restricted_at", held.user)
    crew = await officers(caller, 1)
    first = await create_in(client, chief.headers, "in_progress", officers=crew)
    window = {name: first[name] for name in ("planned_start", "planned_end")}
    beside = await create(client, chief.headers, **window)
    later = await create_in(client, chief.headers, "in_progress", officers=await officers(caller, 1))

    async def refused(task: str, officer: object) -> httpx.Response:
        url = f"{TASKS}/{task}/assignments"
        return await client.post(url, json={"officer": officer}, headers=chief.headers)

    assert_problem(await refused(beside["uuid"], str(uuid4())), 422, "unknown_officer")
    assert_problem(await refused(beside["uuid"], held.officer), 409, "restricted")
    assert_problem(await refused(beside["uuid"], crew[0]), 409, "officer_busy")
    assert_problem(await refused(later["uuid"], crew[0]), 409, "officer_engaged")
    assert_problem(await refused(str(uuid4()), crew[0]), 404, "not_found")
    assert await tables(stores).availability(crew[0]) == "on_task"
