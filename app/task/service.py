"""What can be done with tasks as a whole: read, list, create, delete."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg

from app import page
from app.db import Database
from app.errors import Code, Problem
from app.guard import Caller
from app.precondition import check
from app.task import repository, search
from app.task.answers import as_answer, as_line, point
from app.task.models import ENGAGING, Status, Task
from app.task.period import planned_period
from app.task.record import Change, Kind, write
from app.task.repository import Person, TaskRepository
from app.task.schemas import TaskCreate
from app.task.search import Filter
from app.task.work import Written, check_window, conflicts, lock, refuse_restricted, written


async def read_task(database: Database, uuid: UUID, caller: Caller) -> dict[str, object]:
    """One task. Raises Problem: not_found; forbidden for somebody who may see only their own."""
    row = await repository.find(database, uuid, caller.principal.user)
    if row is None:
        raise Problem(Code.NOT_FOUND)
    if caller.only_own and not row["is_own"]:
        raise Problem(Code.FORBIDDEN)
    return as_answer(row)


async def list_tasks(
    database: Database, wanted: Filter, *, cursor: str | None, limit: int
) -> dict[str, object]:
    """A page, the newest first. Raises Invalid for a cursor that we never gave."""
    after: tuple[datetime, UUID] | None = None
    if cursor is not None:
        at, uuid = page.decode(cursor, _moment, UUID)
        after = at, uuid
    rows = await search.page(database, wanted, after=after, rows=limit + 1)
    return page.page(
        rows, limit, item=as_answer, key=lambda row: (row["created_at"].isoformat(), row["uuid"])
    )


async def list_history(
    database: Database, uuid: UUID, caller: Caller, *, cursor: str | None, limit: int
) -> dict[str, object]:
    """A page of a task's life, from its beginning. Raises Problem as `read_task`; Invalid."""
    seen = page.decode(cursor, _count)[0] if cursor is not None else 0
    await read_task(database, uuid, caller)
    rows = await repository.history(database, uuid, seen=seen, rows=limit + 1)
    return page.page(rows, limit, item=as_line, key=lambda _: (seen + limit,))


def _moment(value: str) -> datetime:
    # Any zone but ours was never given, and some would leave the calendar.
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None or moment.utcoffset():
        raise ValueError(value)
    return moment.astimezone(UTC)


def _count(value: str) -> int:
    count = int(value)
    if not 0 <= count < 2**31:
        raise ValueError(value)
    return count


async def create_task(
    tasks: TaskRepository, body: TaskCreate, caller: Caller, *, code: str, at: datetime
) -> Written:
    """Insert a task with its officers; does not commit. `code` is the body's or an automatic one.

    Raises Problem: unknown_user, unknown_officer, restricted, code_taken, officer_busy; Invalid.
    """
    actor = caller.principal.user
    delegate = body.delegate or actor
    start = body.planned_start or at
    check_window(start, body.planned_end)
    officers = await tasks.lock_officers(body.officers)
    if len(officers) < len(body.officers):
        raise Problem(Code.UNKNOWN_OFFICER)
    refuse_restricted(officers)
    task = Task(
        uuid=uuid4(),
        code=code,
        title=body.title,
        description=body.description,
        notes=body.notes,
        type=body.type.value,
        status=Status.PROGRAMMED.value,
        priority=body.priority.number,
        planned_start=start,
        planned_end=body.planned_end,
        location=point(body.location),
    )
    with conflicts():
        row = await insert(tasks, task, delegate=delegate, author=actor)
        period = planned_period(start, body.planned_end, body.priority)
        await tasks.assign(task, officers, period=period, engaged=False)
    people = frozenset({delegate, *(each.user for each in officers)})
    changes = {"officers": [each.uuid for each in officers]} if officers else {}
    change = Change(task=task, kind=Kind.CREATED, actor=actor, at=at, people=people, changes=changes)
    write(tasks.session, change)
    return await written(tasks, task, caller, people) if officers else Written(as_answer(row), people)


async def insert(tasks: TaskRepository, task: Task, *, delegate: UUID, author: UUID) -> asyncpg.Record:
    """Add a task of two people, as `TaskRepository.add` does, or say which of them it cannot have.

    Raises Problem: session_ended, unknown_user, restricted; IntegrityError.
    """
    row = await tasks.add(task, delegate=delegate, caller=author)
    if row is not None:
        return row
    known = await tasks.users({author, delegate})
    if author not in known:  # deleted since the token was looked at
        raise Problem(Code.SESSION_ENDED)
    raise Problem(Code.RESTRICTED if delegate in known else Code.UNKNOWN_USER)


def delegate_of(known: Mapping[UUID, Person], uuid: UUID) -> Person:
    """Who is to answer for a task. Raises Problem: unknown_user, restricted."""
    delegate = known.get(uuid)
    if delegate is None:
        raise Problem(Code.UNKNOWN_USER)
    if delegate.is_restricted:
        raise Problem(Code.RESTRICTED)
    return delegate


async def delete_task(
    tasks: TaskRepository, uuid: UUID, caller: Caller, *, seen: int | None, at: datetime
) -> Written:
    """Take a task out of every list, and its officers out of it; does not commit. Nothing is left to answer.

    Raises Problem: not_found, stale; task_engaged while officers are at it.
    """
    locked = await lock(tasks, uuid, caller)
    task = locked.task
    check(seen, task.version)
    status = Status(task.status)
    if status in ENGAGING:
        raise Problem(Code.TASK_ENGAGED)
    task.deleted_at = at
    task.version += 1
    await tasks.flush()
    await tasks.release(task, at=at)
    write(
        tasks.session,
        Change(
            task=task,
            kind=Kind.DELETED,
            actor=caller.principal.user,
            at=at,
            people=locked.people,
            from_status=status,
        ),
    )
    # A closed task has released its officers, and yet it was in their figures.
    return Written({}, locked.people | await tasks.everyone(task))
