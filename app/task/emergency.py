"""Emergencies: a task that begins with the nearest officers, or an alert that nobody could be sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from app.audit.models import Severity
from app.audit.recorder import Audit, record
from app.db import Database
from app.errors import Code, Problem
from app.events import Event, emit
from app.guard import Caller
from app.i18n import text
from app.idempotency import Once
from app.officer.models import Availability
from app.page import json_response
from app.policy import API
from app.precondition import etag
from app.task.answers import point
from app.task.codes import EMERGENCY, next_code
from app.task.dispatch import Call, is_anybody_near, pick
from app.task.emergency_schemas import EmergencyCreate
from app.task.models import Priority, Status, Task, TaskType
from app.task.period import planned_period
from app.task.record import Change, Kind, availability_event, write
from app.task.repository import Member, TaskRepository
from app.task.schemas import LocationIn
from app.task.service import insert
from app.task.work import conflicts, written

TRIES = 3  # product contract, section 7
REST_S = 0.05  # chosen: longer than a unit of work like this one takes
# What a constraint says of an officer whom somebody else took since they were looked at.
_TAKEN = frozenset({Code.OFFICER_BUSY, Code.OFFICER_ENGAGED})


@dataclass(frozen=True)
class Raised:
    """What is to be answered, and the uuids of the users whose figures it changed."""

    response: Response
    people: frozenset[UUID] = frozenset()


async def raise_emergency(
    database: Database, once: Once, body: EmergencyCreate, caller: Caller, *, zone: ZoneInfo
) -> Raised:
    """Send the nearest officers who can come, in one unit of work that is committed here.

    Without any there is no task but an alert, and the same Idempotency-Key may try again.
    Raises Problem: no_officer_available (404) if none is in range; officers_contended (409) if others held
    all of them in each of the tries. Between tries nothing is held, no connection either.
    """
    code = await next_code(database, EMERGENCY, at=datetime.now(UTC), zone=zone)
    failure = Code.OFFICERS_CONTENDED
    for attempt in range(TRIES):
        # Apart by chance: who was refused together would else be refused together again.
        await asyncio.sleep(attempt * REST_S * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        try:
            async with database.transaction() as session:
                if (done := await once.replay(session)) is not None:
                    return Raised(done)
                now = datetime.now(UTC)
                call = _call(body, now)
                if sent := await pick(session, call):
                    raised = await _create(session, body, caller, sent, code=code, call=call)
                    once.store(session, raised.response)
                    return raised
                if not await is_anybody_near(session, call):
                    failure = Code.NO_OFFICER_AVAILABLE
                    break
        except Problem as problem:
            if problem.code not in _TAKEN:
                raise
    async with database.transaction() as session:
        await _alert(session, body, caller, failure)
    raise Problem(failure)


def _call(body: EmergencyCreate, at: datetime) -> Call:
    starts, ends = planned_period(at, None, Priority.CRITICAL)
    return Call(
        lat=body.lat,
        lon=body.lon,
        officers=body.officers,
        max_m=body.max_distance_m,
        starts=starts,
        ends=ends,
    )


async def _create(
    session: AsyncSession,
    body: EmergencyCreate,
    caller: Caller,
    sent: Sequence[RowMapping],
    *,
    code: str,
    call: Call,
) -> Raised:
    """Insert the task of locked officers with its record; does not commit.

    Raises Problem: officer_busy, officer_engaged if one was taken since they were looked at.
    """
    tasks = TaskRepository(session)
    actor = caller.principal.user
    nearest = sent[0]
    task = Task(
        uuid=uuid4(),
        code=code,
        title=body.title or text("emergency.title", code=code),
        description=body.description,
        type=TaskType.INTERVENTION.value,
        status=Status.IN_PROGRESS.value,
        priority=Priority.CRITICAL.number,
        planned_start=call.starts,
        actual_start=call.starts,
        location=point(LocationIn(lat=body.lat, lon=body.lon)),
    )
    await insert(tasks, task, delegate=nearest["user"], author=actor)
    officers = [_member(row) for row in sent]
    with conflicts():
        await tasks.assign(task, officers, period=(call.starts, call.ends), engaged=True)
    await tasks.set_availability(officers, Availability.ON_TASK)
    people = [each.user for each in officers]
    change = Change(
        task=task,
        kind=Kind.EMERGENCY,
        actor=actor,
        at=call.starts,
        people=people,
        changes={"officers": [each.uuid for each in officers]},
    )
    notice = Event(
        type="notification",
        topics=tuple(f"user.{user}" for user in people),
        data={
            "notification": uuid4(),
            "title": text("emergency.notice_title"),
            "text": text("emergency.notice", code=code),
            "sender": actor,
            "task": task.uuid,
        },
    )
    busy = (
        availability_event(each.uuid, each.user, Availability.ON_TASK, version=each.version + 1)
        for each in officers
    )
    write(session, change, *busy, notice)
    answer = (await written(tasks, task, caller, people)).answer
    response = json_response(
        {"task": answer, "officers": [_sent(row) for row in sent]},
        201,
        ETag=etag(task.version),
        Location=f"{API}/tasks/{task.uuid}",
    )
    return Raised(response, frozenset(people))


def _member(row: RowMapping) -> Member:
    return Member(
        id=row["id"],
        uuid=row["uuid"],
        user=row["user"],
        availability=Availability.AVAILABLE.value,
        version=row["version"],
        is_restricted=False,
        is_assigned=False,
    )


def _sent(row: RowMapping) -> dict[str, object]:
    return {
        "officer_id": row["uuid"],
        "user_id": row["user"],
        "internal_code": row["internal_code"],
        "name": row["name"],
        "distance_m": round(row["distance_m"], 2),
    }


async def _alert(session: AsyncSession, body: EmergencyCreate, caller: Caller, why: Code) -> None:
    """Tell supervisors that nobody was sent, and where help is needed; does not commit."""
    actor = caller.principal.user
    record(
        session,
        Audit(
            type=Kind.EMERGENCY.audit,
            resource=f"user/{actor}",
            actor=actor,
            severity=Severity.HIGH,
            success=False,
            payload={"code": why.value},
        ),
    )
    emit(
        session,
        Event(
            type="alert",
            topics=("alerts",),
            data={
                "kind": why.value,
                "raised_by": actor,
                "lat": body.lat,
                "lon": body.lon,
                "officers": body.officers,
                "max_distance_m": body.max_distance_m,
            },
        ),
    )
