"""Changes of what a task says and when it is planned."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from app.errors import Code, Problem
from app.guard import Caller
from app.precondition import check
from app.task.answers import point
from app.task.models import ACTIVE, Priority, Status, Task
from app.task.period import planned_period
from app.task.record import Change, Kind, write
from app.task.repository import TaskRepository
from app.task.schemas import TaskChange
from app.task.service import delegate_of
from app.task.work import Locked, Written, check_window, conflicts, lock, refuse_restricted, written

_WINDOW = frozenset({"planned_start", "planned_end", "priority"})
# Free text, and a place that may be somebody's home: history and events name them and no more.
_NAMED_ONLY = frozenset({"title", "description", "notes", "location"})


async def change_task(
    tasks: TaskRepository, uuid: UUID, body: TaskChange, caller: Caller, *, seen: int | None, at: datetime
) -> Written:
    """Change what the body holds; does not commit. What is so already changes nothing, not even the version.

    Level 1 changes the notes of their own, and nobody changes more than notes once a task is closed.

    Raises Problem: not_found, forbidden, stale, task_closed, unknown_user, restricted, officer_busy; Invalid.
    """
    locked = await lock(tasks, uuid, caller)
    task = locked.task
    beyond_notes = bool(body.model_fields_set - {"notes"})
    if caller.only_own and beyond_notes:
        raise Problem(Code.FORBIDDEN)
    check(seen, task.version)
    if beyond_notes and Status(task.status) not in ACTIVE:
        raise Problem(Code.TASK_CLOSED)
    columns = differences(task, body)
    changes: dict[str, object] = {
        name: None if name in _NAMED_ONLY else getattr(body, name) for name in columns
    }
    people = set(locked.people)
    if "delegate" in body.model_fields_set and body.delegate != locked.delegate:
        delegate = delegate_of(await tasks.users({body.delegate}), body.delegate)
        columns["delegate_id"] = delegate.id
        changes["delegate"] = delegate.uuid
        people.add(delegate.uuid)
    if not columns:
        return await written(tasks, task, caller, ())
    with conflicts():
        await _apply(tasks, locked, columns)
    write(
        tasks.session,
        Change(
            task=task,
            kind=Kind.UPDATED,
            actor=caller.principal.user,
            at=at,
            people=people,
            changes=changes,
        ),
    )
    return await written(tasks, task, caller, people)


def differences(task: Task, body: TaskChange) -> dict[str, object]:
    """Per column what the body wants otherwise; a place counts as another unless both are none."""
    found: dict[str, object] = {}
    for name in body.model_fields_set - {"delegate"}:
        value = getattr(body, name)
        match name:
            case "priority":
                value = value.number
            case "type":
                value = value.value
            case "location":
                value = point(value)
        if value != getattr(task, name):
            found[name] = value
    return found


async def _apply(tasks: TaskRepository, locked: Locked, columns: dict[str, object]) -> None:
    task = locked.task
    for name, value in columns.items():
        setattr(task, name, value)
    task.version += 1
    check_window(task.planned_start, task.planned_end)
    await tasks.flush()
    if columns.keys() & _WINDOW and locked.assigned:
        refuse_restricted(locked.assigned)  # the window is part of what is known about them
        priority = Priority.of(task.priority)
        await tasks.move(task, planned_period(task.planned_start, task.planned_end, priority))
