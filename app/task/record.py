"""What a change of a task leaves behind: one line of history, one audit event, one event for those concerned.

All in the unit of work of the change. Free text is named, never copied: what somebody wrote stays in the
task alone, and so does where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.models import Severity
from app.audit.recorder import Audit, record
from app.db import Read, at_end
from app.events import Event, emit
from app.officer.models import Availability
from app.task.codes import is_emergency
from app.task.models import Status, Task


class Kind(StrEnum):
    """What happened: `task_history.event`."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    EMERGENCY = "emergency"  # created, in progress at once

    @property
    def audit(self) -> str:
        """`audit_events.type`."""
        return f"task.{_VERBS[self]}"

    @property
    def event(self) -> str:
        """The type of the event for sockets (product contract, section 6)."""
        return _EVENTS.get(self, "task.status")


_VERBS = {
    Kind.CREATED: "create",
    Kind.UPDATED: "update",
    Kind.DELETED: "delete",
    Kind.STARTED: "start",
    Kind.PAUSED: "pause",
    Kind.RESUMED: "resume",
    Kind.FINISHED: "finish",
    Kind.CANCELLED: "cancel",
    Kind.ASSIGNED: "assign",
    Kind.UNASSIGNED: "unassign",
    Kind.EMERGENCY: "emergency",
}
_EVENTS = {
    Kind.CREATED: "task.created",
    Kind.UPDATED: "task.updated",
    Kind.DELETED: "task.deleted",
    Kind.ASSIGNED: "task.assigned",
    Kind.UNASSIGNED: "task.unassigned",
    Kind.EMERGENCY: "emergency.created",
}
# Chosen: what takes work away from people, or sends them out at once, may be asked about years later.
_SEVERITY = {
    Kind.DELETED: Severity.MEDIUM,
    Kind.CANCELLED: Severity.MEDIUM,
    Kind.EMERGENCY: Severity.HIGH,
}

_INSERT = Read(
    text("""
        INSERT INTO task_history (task_id, at, actor_id, event, from_status, to_status, reason, changes)
        VALUES (CAST(:task AS bigint), CAST(:at AS timestamptz),
            (SELECT id FROM users WHERE uuid = CAST(:actor AS uuid)), CAST(:event AS text),
            CAST(:from_status AS text), CAST(:to_status AS text), CAST(:reason AS text),
            CAST(:changes AS jsonb))
    """)
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of `task`, which is flushed: its status and version are what will be committed.

    `people`: uuids of the users to tell, the delegate and the assigned. `changes`: per changed field its new
    value if that is a word, a moment or a uuid, else null.
    """

    task: Task
    kind: Kind
    actor: UUID
    at: datetime
    people: Iterable[UUID]
    from_status: Status | None = None
    reason: str | None = None
    changes: Mapping[str, object] = field(default_factory=dict)


def write(session: AsyncSession, change: Change, *more: Event) -> None:
    """Write the three, and `more` events behind. Does not commit. Raises what the database raises."""
    task = change.task
    at_end(
        session,
        _INSERT,
        task=task.id,
        at=change.at,
        actor=change.actor,
        event=change.kind.value,
        from_status=change.from_status.value if change.from_status is not None else None,
        to_status=task.status,
        reason=change.reason,
        changes=orjson.dumps(change.changes, default=str, option=orjson.OPT_UTC_Z).decode(),
    )
    record(
        session,
        Audit(
            type=change.kind.audit,
            resource=f"task/{task.uuid}",
            actor=change.actor,
            severity=_SEVERITY.get(change.kind, Severity.LOW),
            payload={"status": task.status, "fields": sorted(change.changes)},
        ),
    )
    emit(session, task_event(change), *_closed_emergency(change), *more)


def _closed_emergency(change: Change) -> Iterator[Event]:
    """To those who watch emergencies alone: one of them is over."""
    if change.kind in {Kind.FINISHED, Kind.CANCELLED} and is_emergency(change.task.code):
        told = task_event(change)
        yield replace(told, type="emergency.closed", topics=(*told.topics, "emergencies"))


def task_event(change: Change) -> Event:
    """The event that tells of `change` to lists, to those who watch the task and to its people."""
    task = change.task
    data: dict[str, object] = {
        "task": task.uuid,
        "code": task.code,
        "status": task.status,
        "version": task.version,
        "fields": sorted(change.changes),
    }
    if change.from_status is not None:
        data["from_status"] = change.from_status.value
    # To those concerned the officers' uuids say who comes and goes.
    for name in ("officers", "officer"):
        if name in change.changes:
            data[name] = change.changes[name]
    people = (f"user.{user}" for user in sorted(set(change.people)))
    lists = ("tasks", "emergencies") if change.kind is Kind.EMERGENCY else ("tasks",)
    return Event(type=change.kind.event, topics=(*lists, f"task.{task.uuid}", *people), data=data)


def availability_event(officer: UUID, user: UUID, availability: Availability, *, version: int) -> Event:
    """An officer became free, or no longer is; `version` is the officer's new one."""
    return Event(
        type="officer.availability",
        topics=("officers", f"officer.{officer}", f"user.{user}"),
        data={
            "officer": officer,
            "version": version,
            "fields": ["availability"],
            "availability": availability.value,
        },
    )
