"""Start, pause, resume, finish, cancel."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from app.errors import Code, Problem
from app.events import Event
from app.guard import Caller
from app.task.models import Status, Task
from app.task.record import Change, availability_event, write
from app.task.repository import Member, TaskRepository
from app.task.transitions import Action, Crew, Moments, Move, after, availability_after, decide, not_before
from app.task.work import Written, conflicts, lock, refuse_restricted, written

_MOMENTS = ("actual_start", "actual_end", "paused_at", "paused_total")


async def act(
    tasks: TaskRepository,
    uuid: UUID,
    action: Action,
    caller: Caller,
    *,
    at: datetime,
    reason: str | None = None,
) -> Written:
    """One step of a task's life, with all that follows for its officers; does not commit.

    Raises Problem: not_found, forbidden, wrong_status, no_officers, officer_engaged, restricted.
    """
    locked = await lock(tasks, uuid, caller)
    task, crew = locked.task, locked.crew
    status = Status(task.status)
    move = decide(status, action, officers=len(crew))
    if isinstance(move, Code):
        raise Problem(move)
    if move.crew is Crew.ENGAGED:
        refuse_restricted(crew)  # but what is released is always let go
    at = _advance(task, move, at)
    await tasks.flush()
    if move.crew is Crew.ENGAGED:
        with conflicts():
            await tasks.engage(task)
    elif move.crew is Crew.RELEASED:
        await tasks.release(task, at=at)
    change = Change(
        task=task,
        kind=move.kind,
        actor=caller.principal.user,
        at=at,
        people=locked.people,
        from_status=status,
        reason=reason,
    )
    write(tasks.session, change, *await _set_availability(tasks, crew, status, move))
    return await written(tasks, task, caller, locked.people)


def _advance(task: Task, move: Move, at: datetime) -> datetime:
    moments = Moments(**{name: getattr(task, name) for name in _MOMENTS})
    at = not_before(moments, at)
    moments = after(moments, move, at)
    for name in _MOMENTS:
        setattr(task, name, getattr(moments, name))
    task.status = move.to.value
    task.version += 1
    return at


async def _set_availability(
    tasks: TaskRepository, crew: list[Member], status: Status, move: Move
) -> list[Event]:
    availability = availability_after(status, move)
    if availability is None:
        return []
    changed = [each for each in crew if each.availability != availability.value]
    if changed:
        await tasks.set_availability(changed, availability)
    return [
        availability_event(each.uuid, each.user, availability, version=each.version + 1) for each in changed
    ]
