"""Who is assigned to a task: one more, one less."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from app.errors import Code, Problem
from app.events import Event
from app.guard import Caller
from app.officer.models import Availability
from app.precondition import check
from app.task.models import ACTIVE, ENGAGING, Priority, Status
from app.task.period import planned_period
from app.task.record import Change, Kind, availability_event, write
from app.task.repository import Member, TaskRepository
from app.task.work import Locked, Written, conflicts, lock, refuse_restricted, written


async def assign(
    tasks: TaskRepository, uuid: UUID, officer: UUID, caller: Caller, *, at: datetime
) -> Written:
    """One officer more; does not commit. In a task under way they are at it at once.

    Raises Problem: not_found, task_closed, unknown_officer, already_assigned, restricted, officer_busy,
    officer_engaged.
    """
    locked = await lock(tasks, uuid, caller, also=(officer,))
    task = locked.task
    status = Status(task.status)
    if status not in ACTIVE:
        raise Problem(Code.TASK_CLOSED)
    newcomer = _find(locked, officer)
    if newcomer is None:
        raise Problem(Code.UNKNOWN_OFFICER)
    if newcomer.is_assigned:
        raise Problem(Code.ALREADY_ASSIGNED)
    refuse_restricted([newcomer])
    engaged = status in ENGAGING
    task.version += 1
    with conflicts():
        await tasks.flush()
        period = planned_period(task.planned_start, task.planned_end, Priority.of(task.priority))
        await tasks.assign(task, [newcomer], period=period, engaged=engaged)
    more = await _set(tasks, newcomer, Availability.ON_TASK) if engaged else []
    return await _written(tasks, locked, newcomer, Kind.ASSIGNED, caller, at=at, more=more)


async def unassign(
    tasks: TaskRepository, uuid: UUID, officer: UUID, caller: Caller, *, seen: int | None, at: datetime
) -> Written:
    """One officer less, free again if the task is under way; does not commit.

    Raises Problem: not_found for task or assignment; stale; last_officer of a task under way.
    """
    locked = await lock(tasks, uuid, caller)
    task = locked.task
    leaver = _find(locked, officer)
    if leaver is None:
        raise Problem(Code.NOT_FOUND)
    check(seen, task.version)
    engaged = Status(task.status) in ENGAGING
    if engaged and len(locked.crew) == 1:
        raise Problem(Code.LAST_OFFICER)
    task.version += 1
    await tasks.flush()
    await tasks.release(task, at=at, officer=leaver)
    more = await _set(tasks, leaver, Availability.AVAILABLE) if engaged else []
    return await _written(tasks, locked, leaver, Kind.UNASSIGNED, caller, at=at, more=more)


def _find(locked: Locked, officer: UUID) -> Member | None:
    return next((each for each in locked.crew if each.uuid == officer), None)


async def _set(tasks: TaskRepository, officer: Member, availability: Availability) -> list[Event]:
    await tasks.set_availability([officer], availability)
    return [availability_event(officer.uuid, officer.user, availability, version=officer.version + 1)]


async def _written(
    tasks: TaskRepository,
    locked: Locked,
    officer: Member,
    kind: Kind,
    caller: Caller,
    *,
    at: datetime,
    more: list[Event],
) -> Written:
    people = locked.people | {officer.user}
    change = Change(
        task=locked.task,
        kind=kind,
        actor=caller.principal.user,
        at=at,
        people=people,
        changes={"officer": officer.uuid},
    )
    write(tasks.session, change, *more)
    return await written(tasks, locked.task, caller, people)
