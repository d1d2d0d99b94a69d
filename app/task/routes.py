"""/api/v1/tasks."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response

from app.db import Db
from app.fields import Printable, Time
from app.guard import Authorized, GuardedRoute
from app.hot import hot
from app.idempotency import Idempotent, Once
from app.openapi import CREATED, problems
from app.page import Cursor, Limit, json_response
from app.policy import API
from app.precondition import Seen, etag
from app.task import change, crew, life, service
from app.task.codes import TASK, next_code
from app.task.models import Priority, Status, TaskType
from app.task.schemas import (
    AssignmentCreate,
    Cancellation,
    HistoryPage,
    TaskChange,
    TaskCreate,
    TaskPage,
    TaskRead,
)
from app.task.search import Filter
from app.task.transitions import Action
from app.task.writer import Writer, Writes, answer

PREFIX = f"{API}/tasks"
router = APIRouter(prefix=PREFIX, tags=["tasks"], route_class=GuardedRoute)

Words = Annotated[
    str,
    Query(min_length=3, max_length=100, description="Part of code, title or description, in any case."),
    Printable,
]


async def _zone(request: Request) -> ZoneInfo:
    return ZoneInfo(request.app.state.settings.tz)


@router.get("", response_model=TaskPage)
@hot
async def list_page(
    *,
    caller: Authorized,
    database: Db,
    status: Annotated[list[Status] | None, Query(description="Any of these.")] = None,
    type: TaskType | None = None,
    priority: Priority | None = None,
    delegate: Annotated[UUID | None, Query(description="uuid of a user.")] = None,
    officer: Annotated[UUID | None, Query(description="uuid of an officer who is or was assigned.")] = None,
    since: Annotated[Time | None, Query(alias="from", description="planned_start is not before.")] = None,
    until: Annotated[Time | None, Query(alias="to", description="planned_start is before.")] = None,
    q: Words | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Tasks, the newest first; level 1 sees only their own, whatever the filters."""
    wanted = Filter(
        caller=caller.principal.user,
        own=caller.only_own,
        status=status or (),
        type=type,
        priority=priority,
        delegate=delegate,
        officer=officer,
        since=since,
        until=until,
        q=q,
    )
    return json_response(await service.list_tasks(database, wanted, cursor=cursor, limit=limit))


@router.get("/{task_id}", response_model=TaskRead)
@hot
async def read_one(task_id: UUID, caller: Authorized, database: Db) -> Response:
    """One task with its officers; level 1 sees only their own."""
    found = await service.read_task(database, task_id, caller)
    return json_response(found, ETag=etag(found["version"]))


@router.get("/{task_id}/history", response_model=HistoryPage)
async def read_history(
    task_id: UUID, caller: Authorized, database: Db, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """A task's life from its beginning; level 1 sees only that of their own."""
    return json_response(await service.list_history(database, task_id, caller, cursor=cursor, limit=limit))


@router.post("", status_code=201, response_model=TaskRead, responses={**problems(409), **CREATED})
async def create(
    body: TaskCreate, writer: Writes, once: Idempotent, zone: Annotated[ZoneInfo, Depends(_zone)]
) -> Response:
    """A new task, programmed, with its officers."""
    code = body.code or await next_code(writer.database, TASK, at=writer.at, zone=zone)
    work = partial(service.create_task, body=body, caller=writer.caller, code=code, at=writer.at)
    return await writer.write_once(once, work, status=201, location=f"{PREFIX}/{{uuid}}")


@router.patch("/{task_id}", response_model=TaskRead, responses=problems(409))
async def update(task_id: UUID, body: TaskChange, writer: Writes, seen: Seen) -> Response:
    """Change a task; level 1 the notes of their own. A closed task's notes can still be changed."""
    work = partial(change.change_task, uuid=task_id, body=body, caller=writer.caller, seen=seen, at=writer.at)
    return answer(await writer.write(work))


@router.delete("/{task_id}", status_code=204, responses=problems(409))
async def delete(task_id: UUID, writer: Writes, seen: Seen) -> Response:
    """Take a task away for good; not while it is in progress or paused."""
    work = partial(service.delete_task, uuid=task_id, caller=writer.caller, seen=seen, at=writer.at)
    await writer.write(work)
    return Response(status_code=204)


@router.post("/{task_id}/start", response_model=TaskRead, responses=problems(409))
async def start(task_id: UUID, writer: Writes, once: Idempotent) -> Response:
    """Programmed to in progress: its officers are at it from now on."""
    return await _act(writer, once, task_id, Action.START)


@router.post("/{task_id}/pause", response_model=TaskRead, responses=problems(409))
async def pause(task_id: UUID, writer: Writes, once: Idempotent) -> Response:
    """In progress to paused: its officers stay with it."""
    return await _act(writer, once, task_id, Action.PAUSE)


@router.post("/{task_id}/resume", response_model=TaskRead, responses=problems(409))
async def resume(task_id: UUID, writer: Writes, once: Idempotent) -> Response:
    """Paused to in progress."""
    return await _act(writer, once, task_id, Action.RESUME)


@router.post("/{task_id}/finish", response_model=TaskRead, responses=problems(409))
async def finish(task_id: UUID, writer: Writes, once: Idempotent) -> Response:
    """In progress or paused to finished: its officers are free again."""
    return await _act(writer, once, task_id, Action.FINISH)


@router.post("/{task_id}/cancel", response_model=TaskRead, responses=problems(409))
async def cancel(task_id: UUID, body: Cancellation, writer: Writes, once: Idempotent) -> Response:
    """Give a task up, and say why: its officers are free again."""
    return await _act(writer, once, task_id, Action.CANCEL, reason=body.reason)


async def _act(
    writer: Writer, once: Once, task_id: UUID, action: Action, *, reason: str | None = None
) -> Response:
    work = partial(life.act, uuid=task_id, action=action, caller=writer.caller, at=writer.at, reason=reason)
    return await writer.write_once(once, work)


@router.post(
    "/{task_id}/assignments",
    status_code=201,
    response_model=TaskRead,
    responses={**problems(409), **CREATED},
)
async def assign(task_id: UUID, body: AssignmentCreate, writer: Writes, once: Idempotent) -> Response:
    """One officer more; answers the task. In a task under way they are at it at once."""
    work = partial(crew.assign, uuid=task_id, officer=body.officer, caller=writer.caller, at=writer.at)
    location = f"{PREFIX}/{task_id}/assignments/{body.officer}"
    return await writer.write_once(once, work, status=201, location=location)


@router.delete("/{task_id}/assignments/{officer_id}", status_code=204, responses=problems(409))
async def unassign(task_id: UUID, officer_id: UUID, writer: Writes, seen: Seen) -> Response:
    """One officer less, but not the last of a task under way. If-Match and ETag are the task's."""
    work = partial(
        crew.unassign, uuid=task_id, officer=officer_id, caller=writer.caller, seen=seen, at=writer.at
    )
    written = await writer.write(work)
    return Response(status_code=204, headers={"ETag": etag(written.answer["version"])})
