"""What every change of a task has in common: the locks, what a constraint refuses, the answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from app.db import violated
from app.errors import Code, Invalid, Problem
from app.guard import Caller
from app.task.answers import as_answer
from app.task.models import Task
from app.task.repository import Member, TaskRepository

_CONFLICTS = {
    "tasks_code_key": Code.CODE_TAKEN,
    "task_assignments_overlap_excl": Code.OFFICER_BUSY,
    "task_assignments_engaged_key": Code.OFFICER_ENGAGED,
    "task_assignments_task_id_officer_id_key": Code.ALREADY_ASSIGNED,
}


@dataclass(frozen=True)
class Locked:
    """A task that is about to change. `crew`: the assigned, and who was asked for beside them."""

    task: Task
    delegate: UUID
    crew: list[Member]

    @property
    def assigned(self) -> list[Member]:
        """Who has a place in the task."""
        return [each for each in self.crew if each.is_assigned]

    @property
    def people(self) -> frozenset[UUID]:
        """uuids of the users concerned."""
        return frozenset({self.delegate, *(each.user for each in self.assigned)})


@dataclass(frozen=True)
class Written:
    """A task after a change, and the uuids of the users whose figures it changed."""

    answer: dict[str, object]
    people: frozenset[UUID]


@contextmanager
def conflicts() -> Iterator[None]:
    """Say what a constraint refused. Raises Problem: code_taken, officer_busy, officer_engaged."""
    try:
        yield
    except IntegrityError as error:
        code = _CONFLICTS.get(violated(error))
        if code is None:
            raise
        raise Problem(code) from None


async def lock(tasks: TaskRepository, uuid: UUID, caller: Caller, also: Collection[UUID] = ()) -> Locked:
    """The task and its officers, and `also` others. Raises Problem: not_found; forbidden for another's."""
    found = await tasks.lock(uuid)
    if found is None:
        raise Problem(Code.NOT_FOUND)
    task, delegate = found
    locked = Locked(task, delegate, await tasks.lock_crew(task, also))
    if caller.only_own and caller.principal.user not in locked.people:
        raise Problem(Code.FORBIDDEN)
    return locked


async def written(tasks: TaskRepository, task: Task, caller: Caller, people: Collection[UUID]) -> Written:
    """The flushed task as it is read, without another connection."""
    return Written(as_answer(await tasks.one(task.uuid, caller.principal.user)), frozenset(people))


def check_window(start: datetime, end: datetime | None) -> None:
    """Raises Invalid unless the planned end comes after the start."""
    if end is not None and end <= start:
        raise Invalid("body.planned_end", "end_before_start")


def refuse_restricted(officers: Collection[Member]) -> None:
    """Raises Problem (restricted) if the data of one of them may only be kept."""
    if any(each.is_restricted for each in officers):
        raise Problem(Code.RESTRICTED)
