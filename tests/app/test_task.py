"""Tasks as a whole through the API: create, read, change, delete."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bodies import Callers, assert_problem
from stores import Stores
from tasks import PATHS, TASKS, act, create, create_in, officers, tables, task

from app.task.schemas import HistoryPage, TaskRead

CLOSED = ("finished", "cancelled")


async def test_a_new_task_is_found_where_location_says(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief, delegate = await caller(2), await caller(1)
    crew = await officers(caller, 2)
    body = task(
        code=f"OP-{uuid4().hex[:12].upper()}",
        description="Primera línea.\nSegunda línea.",
        notes="Con chaleco.",
        priority="urgent",
        delegate=delegate.user,
        location={"lat": -0.2042, "lon": -78.4903},
        officers=crew,
    )
    made = await client.post(TASKS, json=body, headers=chief.headers)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{TASKS}/{made.json()['uuid']}"

    read = await client.get(made.headers["location"], headers=chief.headers)
    assert read.status_code == 200
    assert read.json() == made.json()
    assert read.headers["etag"] == made.headers["etag"] == '"1"'
    answer = TaskRead.model_validate(read.json())
    assert {
        name: read.json()[name] for name in ("code", "title", "description", "notes", "type", "priority")
    } == {name: body[name] for name in ("code", "title", "description", "notes", "type", "priority")}
    assert (answer.status, str(answer.delegate), str(answer.created_by)) == (
        "programmed",
        delegate.user,
        chief.user,
    )
    assert read.json()["location"] == {"lat": -0.2042, "lon": -78.4903}
    assert [str(each.officer_id) for each in answer.officers] == crew
    assert {each.engaged for each in answer.officers} == {False}
    assert answer.delegate_name == answer.officers[0].name == "Luz Chimbo"
    assert await tables(stores).trail(read.json()["uuid"]) == (["created"], ["task.create"], ["task.created"])


async def test_what_is_left_out_has_a_default(client: httpx.AsyncClient, caller: Callers) -> None:
    chief = await caller(2)
    made = await client.post(
        TASKS, json={"title": "Turno de oficina", "type": "administrative"}, headers=chief.headers
    )
    answer = TaskRead.model_validate(made.json())
    today = datetime.now(UTC)
    assert abs((answer.planned_start - today).total_seconds()) < 60
    assert (answer.priority, answer.planned_end, str(answer.delegate)) == ("medium", None, chief.user)
    assert (answer.location, answer.officers, answer.paused_s) == (None, [], 0)
    # Guayaquil is five hours behind UTC, without summer time.
    assert made.json()["code"].startswith(
        f"TSK-{datetime.fromtimestamp(today.timestamp() - 5 * 3600, UTC):%Y%m%d}-"
    )


async def test_two_automatic_codes_differ(client: httpx.AsyncClient, caller: Callers) -> None:
    chief = await caller(2)
    codes = [(await create(client, chief.headers))["code"] for _ in range(3)]
    numbers = [int(code.rpartition("-")[2]) for code in codes]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


async def test_a_code_is_taken_for_ever(client: httpx.AsyncClient, caller: Callers) -> None:
    chief, admin = await caller(2), await caller(3)
    made = await create(client, chief.headers, code=f"OP-{uuid4().hex[:12].upper()}")
    again = task(code=made["code"])
    assert_problem(await client.post(TASKS, json=again, headers=chief.headers), 409, "code_taken")

    gone = await client.delete(f"{TASKS}/{made['uuid']}", headers=admin.headers | {"If-Match": '"1"'})
    assert gone.status_code == 204
    assert_problem(await client.post(TASKS, json=again, headers=chief.headers), 409, "code_taken")


@pytest.mark.parametrize(
    ("changes", "field", "kind"),
    [
        ({"title": "Muy corto"}, "body.title", "string_too_short"),
        ({"title": "x" * 101}, "body.title", "string_too_long"),
        ({"title": "e\u0301" * 6}, "body.title", "title_length"),
        ({"code": "TSK-20260101-0001"}, "body.code", "reserved_code"),
        ({"code": "minúsculas"}, "body.code", "string_pattern_mismatch"),
        ({"planned_end": "2029-01-01T00:00:00Z"}, "body", "end_before_start"),
        (
            {"planned_start": None, "planned_end": "2020-01-01T00:00:00Z"},
            "body.planned_end",
            "end_before_start",
        ),
        ({"planned_start": "2030-01-01T00:00:00"}, "body.planned_start", "timezone_aware"),
        ({"planned_start": "0001-01-01T00:00:00+14:00"}, "body.planned_start", "out_of_time"),
        ({"type": "fishing"}, "body.type", "enum"),
        ({"priority": 3}, "body.priority", "enum"),
        ({"location": {"lat": 91, "lon": 0}}, "body.location.lat", "less_than_equal"),
        ({"officers": [str(uuid4())] * 2}, "body.officers", "repeated"),
        ({"officers": [str(uuid4()) for _ in range(21)]}, "body.officers", "too_long"),
        ({"description": "\x00"}, "body.description", "control_character"),
        ({"status": "finished"}, "body", "extra_forbidden"),
    ],
)
async def test_what_the_schema_refuses(
    client: httpx.AsyncClient, caller: Callers, changes: dict[str, Any], field: str, kind: str
) -> None:
    chief = await caller(2)
    refused = assert_problem(
        await client.post(TASKS, json=task(**changes), headers=chief.headers), 422, "invalid"
    )
    assert [(each["field"], each["code"]) for each in refused["errors"]] == [(field, kind)]


async def test_who_is_unknown_or_restricted_is_named_by_the_code(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief, held = await caller(2), await caller(1, is_officer=True)
    await asyncio.to_thread(stores.stamp, "users", "restricted_at", held.user)

    async def refused(**changes: object) -> httpx.Response:
        return await client.post(TASKS, json=task(**changes), headers=chief.headers)

    assert_problem(await refused(delegate=str(uuid4())), 422, "unknown_user")
    assert_problem(await refused(delegate=held.user), 409, "restricted")
    assert_problem(await refused(officers=[str(uuid4())]), 422, "unknown_officer")
    assert_problem(await refused(officers=[held.officer]), 409, "restricted")


async def test_an_officer_is_not_in_two_places(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief = await caller(2)
    crew = await officers(caller, 1)
    first = await create(client, chief.headers, officers=crew, planned_end=None)  # medium: 3.5 hours
    start = datetime.fromisoformat(first["planned_start"])

    async def second(hours: float) -> httpx.Response:
        window = {"planned_start": (start + timedelta(hours=hours)).isoformat(), "planned_end": None}
        return await client.post(TASKS, json=task(officers=crew, **window), headers=chief.headers)

    before = len(await tables(stores).rows("SELECT FROM tasks"))
    assert_problem(await second(3.4), 409, "officer_busy")
    assert len(await tables(stores).rows("SELECT FROM tasks")) == before
    assert (await second(3.5)).status_code == 201


async def test_the_same_key_makes_one_task(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief = await caller(2)
    headers = chief.headers | {"Idempotency-Key": uuid4().hex}
    body = task(officers=await officers(caller, 1))
    first = await client.post(TASKS, json=body, headers=headers)
    again = await client.post(TASKS, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert [again.headers[name] for name in ("etag", "location")] == [
        first.headers[name] for name in ("etag", "location")
    ]
    assert await tables(stores).trail(first.json()["uuid"]) == (
        ["created"],
        ["task.create"],
        ["task.created"],
    )
    other = await client.post(TASKS, json=task(), headers=headers)
    assert_problem(other, 422, "idempotency_mismatch")


async def test_level_1_sees_and_edits_only_its_own(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief, stranger = await caller(2), await caller(1, is_officer=True)
    delegate, assigned = await caller(1), await caller(1, is_officer=True)
    made = await create(client, chief.headers, delegate=delegate.user, officers=[assigned.officer])
    url = f"{TASKS}/{made['uuid']}"
    for own in (delegate, assigned):
        assert (await client.get(url, headers=own.headers)).status_code == 200
        assert (await client.get(f"{url}/history", headers=own.headers)).status_code == 200

    assert_problem(await client.get(url, headers=stranger.headers), 403, "forbidden")
    assert_problem(await client.get(f"{url}/history", headers=stranger.headers), 403, "forbidden")
    edit = {"notes": "Sin novedad."}
    refused = await client.patch(url, json=edit, headers=stranger.headers | {"If-Match": '"1"'})
    assert_problem(refused, 403, "forbidden")
    denials = await tables(stores).rows(
        "SELECT e.resource, e.success, e.request_id FROM audit_events e JOIN users u ON u.id = e.actor_id"
        " WHERE u.uuid = $1 AND e.resource LIKE 'PATCH %'",
        stranger.user,
    )
    assert denials == [
        {
            "resource": f"PATCH {TASKS}/{{task_id}}",
            "success": False,
            "request_id": refused.headers["x-request-id"],
        }
    ]

    beyond = await client.patch(
        url, json={**edit, "title": "Otro título largo"}, headers=delegate.headers | {"If-Match": '"1"'}
    )
    assert_problem(beyond, 403, "forbidden")
    done = await client.patch(url, json=edit, headers=assigned.headers | {"If-Match": '"1"'})
    assert (done.status_code, done.json()["notes"], done.json()["version"]) == (200, "Sin novedad.", 2)


async def test_a_change_is_seen_and_recorded(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    chief, delegate = await caller(2), await caller(1)
    made = await create(
        client, chief.headers, description="Antes.", location={"lat": 0, "lon": 0}, priority="low"
    )
    url = f"{TASKS}/{made['uuid']}"
    wanted = {
        "title": "Un título distinto",
        "description": None,
        "notes": "Nota.",
        "type": "surveillance",
        "priority": "critical",
        "planned_start": "2031-05-01T10:00:00Z",
        "planned_end": "2031-05-01T11:00:00Z",
        "delegate": delegate.user,
        "location": {"lat": 1.5, "lon": -2.5},
    }
    done = await client.patch(url, json=wanted, headers=chief.headers | {"If-Match": '"1"'})
    assert done.status_code == 200, done.text
    assert {name: done.json()[name] for name in wanted} == wanted
    assert (done.headers["etag"], done.json()["version"]) == ('"2"', 2)
    assert done.json()["updated_at"] > made["updated_at"]
    assert (await client.get(url, headers=chief.headers)).json() == done.json()

    lines = (await client.get(f"{url}/history", headers=chief.headers)).json()["items"]
    assert [line["event"] for line in lines] == ["created", "updated"]
    assert lines[1]["actor"] == chief.user
    # What somebody wrote, and where: named and no more.
    named = dict.fromkeys(("title", "description", "notes", "location"))
    words = {name: wanted[name] for name in ("type", "priority", "planned_start", "planned_end", "delegate")}
    assert lines[1]["changes"] == named | words
    assert await tables(stores).trail(made["uuid"]) == (
        ["created", "updated"],
        ["task.create", "task.update"],
        ["task.created", "task.updated"],
    )


@pytest.mark.parametrize("same", [{}, {"notes": None}, {"type": "patrol", "priority": "medium"}])
async def test_what_is_so_already_changes_nothing(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, same: dict[str, Any]
) -> None:
    chief = await caller(2)
    made = await create(client, chief.headers)
    url = f"{TASKS}/{made['uuid']}"
    body = {**same, "planned_start": made["planned_start"], "delegate": chief.user}
    done = await client.patch(url, json=body, headers=chief.headers | {"If-Match": '"1"'})
    assert (done.status_code, done.json()) == (200, made)
    assert await tables(stores).trail(made["uuid"]) == (["created"], ["task.create"], ["task.created"])


async def test_a_version_is_asked_for_and_compared(client: httpx.AsyncClient, caller: Callers) -> None:
    admin = await caller(3)
    (member,) = await officers(caller, 1)
    made = await create(client, admin.headers, officers=[member])
    url = f"{TASKS}/{made['uuid']}"
    for tag, status, code in (
        (None, 428, "precondition_required"),
        ('"9"', 412, "stale"),
        ("x", 412, "stale"),
    ):
        headers = admin.headers | ({"If-Match": tag} if tag is not None else {})
        assert_problem(await client.patch(url, json={"notes": "x"}, headers=headers), status, code)
        assert_problem(await client.delete(url, headers=headers), status, code)
        assert_problem(await client.delete(f"{url}/assignments/{member}", headers=headers), status, code)
    whatever = admin.headers | {"If-Match": "*"}
    assert (await client.patch(url, json={"notes": "x"}, headers=whatever)).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"planned_end": "2029-01-01T00:00:00Z"}, 422, "invalid"),
        ({"delegate": str(uuid4())}, 422, "unknown_user"),
        ({"title": None}, 422, "invalid"),
        ({"priority": None}, 422, "invalid"),
        ({"status": "finished"}, 422, "invalid"),
    ],
)
async def test_what_a_change_refuses(
    client: httpx.AsyncClient, caller: Callers, change: dict[str, Any], status: int, code: str
) -> None:
    chief = await caller(2)
    made = await create(client, chief.headers)
    url = f"{TASKS}/{made['uuid']}"
    refused = await client.patch(url, json=change, headers=chief.headers | {"If-Match": '"1"'})
    assert_problem(refused, status, code)
    assert (await client.get(url, headers=chief.headers)).json() == made


async def test_another_window_moves_its_officers_time(client: httpx.AsyncClient, caller: Callers) -> None:
    chief = await caller(2)
    crew = await officers(caller, 1)
    first = await create(client, chief.headers, officers=crew)
    second = await create(client, chief.headers, officers=crew, planned_end=None, priority="critical")
    headers = chief.headers | {"If-Match": '"1"'}
    url = f"{TASKS}/{second['uuid']}"
    onto = {"planned_start": first["planned_start"], "planned_end": first["planned_end"]}
    assert_problem(await client.patch(url, json=onto, headers=headers), 409, "officer_busy")
    assert (await client.get(url, headers=chief.headers)).json() == second

    # A critical task without an end takes 2 hours, a low one 4.
    end = datetime.fromisoformat(second["planned_start"]) + timedelta(hours=3)
    beside = {"planned_start": end.isoformat(), "planned_end": None, "officers": crew}
    third = await create(client, chief.headers, **beside)
    assert_problem(await client.patch(url, json={"priority": "low"}, headers=headers), 409, "officer_busy")
    gone = await client.delete(f"{TASKS}/{third['uuid']}/assignments/{crew[0]}", headers=headers)
    assert gone.status_code == 204
    assert (await client.patch(url, json={"priority": "low"}, headers=headers)).status_code == 200
    assert_problem(await client.post(TASKS, json=task(**beside), headers=headers), 409, "officer_busy")


@pytest.mark.parametrize("status", CLOSED)
async def test_a_closed_task_takes_notes_and_nothing_else(
    client: httpx.AsyncClient, caller: Callers, status: str
) -> None:
    chief = await caller(2)
    made = await create_in(client, chief.headers, status, officers=await officers(caller, 1))
    url = f"{TASKS}/{made['uuid']}"
    headers = chief.headers | {"If-Match": f'"{made["version"]}"'}
    refused = await client.patch(url, json={"notes": "x", "priority": "low"}, headers=headers)
    assert_problem(refused, 409, "task_closed")
    done = await client.patch(url, json={"notes": "Informe entregado."}, headers=headers)
    assert (done.status_code, done.json()["notes"]) == (200, "Informe entregado.")
    body = {"officer": (await officers(caller, 1))[0]}
    assert_problem(
        await client.post(f"{url}/assignments", json=body, headers=chief.headers), 409, "task_closed"
    )


@pytest.mark.parametrize("status", PATHS)
async def test_a_deleted_task_is_in_no_answer(
    client: httpx.AsyncClient, caller: Callers, stores: Stores, status: str
) -> None:
    admin, chief = await caller(3), await caller(2)
    crew = await officers(caller, 1)
    made = await create_in(client, admin.headers, status, officers=crew)
    url = f"{TASKS}/{made['uuid']}"
    match = {"If-Match": f'"{made["version"]}"'}
    assert_problem(await client.delete(url, headers=chief.headers | match), 403, "forbidden")
    gone = await client.delete(url, headers=admin.headers | match)
    assert gone.status_code == {"in_progress": 409, "paused": 409}.get(status, 204)
    is_there = gone.status_code == 409

    codes = [
        (await client.get(url, headers=admin.headers)).status_code,
        (await client.get(f"{url}/history", headers=admin.headers)).status_code,
        (await client.patch(url, json={"notes": "x"}, headers=admin.headers | match)).status_code,
    ]
    assert codes == [200 if is_there else 404] * 3
    listed = await client.get(TASKS, params={"q": made["code"]}, headers=admin.headers)
    assert [each["uuid"] for each in listed.json()["items"]] == ([made["uuid"]] if is_there else [])
    assert [is_open for is_open, _ in await tables(stores).places(made["uuid"])] == [is_there]
    history, audit, events = await tables(stores).trail(made["uuid"])
    assert ("deleted" in history, "task.delete" in audit, "task.deleted" in events) == (not is_there,) * 3


async def test_an_unknown_task_is_not_found(client: httpx.AsyncClient, caller: Callers) -> None:
    admin = await caller(3)
    headers = admin.headers | {"If-Match": "*"}
    url = f"{TASKS}/{uuid4()}"
    assert_problem(await client.get(url, headers=headers), 404, "not_found")
    assert_problem(await client.get(f"{url}/history", headers=headers), 404, "not_found")
    assert_problem(await client.patch(url, json={}, headers=headers), 404, "not_found")
    assert_problem(await client.delete(url, headers=headers), 404, "not_found")
    for action in ("start", "pause", "resume", "finish", "cancel"):
        assert_problem(await act(client, headers, url.rpartition("/")[2], action), 404, "not_found")


async def test_the_history_comes_in_pages(client: httpx.AsyncClient, caller: Callers) -> None:
    chief = await caller(2)
    made = await create_in(client, chief.headers, "finished", officers=await officers(caller, 1))
    url = f"{TASKS}/{made['uuid']}/history"
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        params = {"limit": "1", **({"cursor": cursor} if cursor is not None else {})}
        answer = HistoryPage.model_validate(
            (await client.get(url, params=params, headers=chief.headers)).json()
        )
        seen += [line.event for line in answer.items]
        cursor = answer.next_cursor
    assert (seen, cursor) == (["created", "started", "finished"], None)
    refused = await client.get(url, params={"cursor": "Wy0xXQ"}, headers=chief.headers)  # [-1]
    assert_problem(refused, 422, "invalid")
