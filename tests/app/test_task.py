"""Tasks as a whole through the API: create, read, change, delete."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import httpx
from bodies import Callers
from stores import Stores
from tasks import TASKS, officers, tables, task

from app.task.schemas import TaskRead

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
