"""What callers send and get about tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from app.fields import Answer, Body, Latitude, Longitude, Printable, Prose, Time, refuse
from app.task.codes import AUTOMATIC
from app.task.models import Priority, Status, TaskType

OFFICERS_MAX = 20  # chosen: a whole shift of a district; more is an operation of several tasks

EXAMPLE: dict[str, JsonValue] = {
    "title": "Patrullaje nocturno en La Mariscal",
    "description": "Recorrido a pie por la zona de bares, de la Foch a la Colón.",
    "type": "patrol",
    "priority": "high",
    "planned_start": "2026-03-01T22:00:00Z",
    "planned_end": "2026-03-02T04:00:00Z",
    "location": {"lat": -0.2042, "lon": -78.4903},
}
_OFFICER = "7a4b6a1e-6b0f-4a52-9f0c-0b7f2a8e5c11"
_USER = "0b0e7d6c-6d0e-4b5e-9a37-0f6b8a1a7a11"
_READ: dict[str, JsonValue] = {
    **EXAMPLE,
    "uuid": "b7c0a3de-7c0f-4f5e-8f0e-1d2c3b4a5f60",
    "code": "TSK-20260301-0001",
    "notes": None,
    "status": "programmed",
    "actual_start": None,
    "actual_end": None,
    "paused_at": None,
    "paused_s": 0.0,
    "delegate": _USER,
    "delegate_name": "María Quishpe",
    "created_by": _USER,
    "officers": [
        {
            "officer_id": _OFFICER,
            "user_id": _USER,
            "internal_code": "UIO-00417",
            "name": "María Quishpe",
            "assigned_at": "2026-03-01T12:00:00.000000Z",
            "engaged": False,
        }
    ],
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
    "version": 1,
}
_LINE: dict[str, JsonValue] = {
    "at": "2026-03-01T22:01:00Z",
    "event": "started",
    "actor": _USER,
    "from_status": "programmed",
    "to_status": "in_progress",
    "reason": None,
    "changes": {},
}


def _title(value: str) -> str:
    # Once more, as normal form may have joined or parted characters.
    if not 10 <= len(value) <= 100:
        raise refuse("title_length")
    return value


def _not_automatic(value: str) -> str:
    if AUTOMATIC.fullmatch(value):
        raise refuse("reserved_code")
    return value


def _unique(value: list[UUID]) -> list[UUID]:
    if len(set(value)) < len(value):
        raise refuse("repeated")
    return value


def _absent() -> Any:
    """For what may be left out of a change and cannot be null; read it by `model_fields_set`."""
    return Field(default=None)


Title = Annotated[str, Field(min_length=10, max_length=100), Printable, AfterValidator(_title)]
TaskCode = Annotated[
    str,
    Field(
        pattern=r"^[A-Z0-9][A-Z0-9-]{2,19}$", description="Capitals, digits, hyphens; automatic if absent."
    ),
    AfterValidator(_not_automatic),
]
Officers = Annotated[
    list[UUID],
    Field(max_length=OFFICERS_MAX, json_schema_extra={"uniqueItems": True}, description="uuids of officers."),
    AfterValidator(_unique),
]


class LocationIn(Body):
    """Where something is to be done."""

    lat: Latitude
    lon: Longitude


class Location(Answer):
    """Where something is to be done."""

    lat: float
    lon: float


class TaskCreate(Body):
    """A new task, with its officers. Absent: `planned_start` is now, `delegate` the caller."""

    model_config = ConfigDict(
        title="TaskCreate", json_schema_extra={"examples": [{**EXAMPLE, "officers": [_OFFICER]}]}
    )

    code: TaskCode | None = None
    title: Title
    description: Prose | None = None
    notes: Prose | None = None
    type: TaskType
    priority: Priority = Priority.MEDIUM
    planned_start: Time | None = None
    planned_end: Time | None = None
    delegate: UUID | None = Field(None, description="uuid of the user who answers for the task.")
    location: LocationIn | None = None
    officers: Officers = Field(default_factory=list)

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        start, end = self.planned_start, self.planned_end
        if start is not None and end is not None and end <= start:
            raise refuse("end_before_start")
        return self


class TaskChange(Body):
    """What is to be different; what is absent stays. Level 1 may send `notes` alone."""

    model_config = ConfigDict(
        title="TaskChange",
        json_schema_extra={"examples": [{"notes": "Relevo a medianoche.", "priority": "urgent"}]},
    )

    title: Title = _absent()
    description: Prose | None = None
    notes: Prose | None = None
    type: TaskType = _absent()
    priority: Priority = _absent()
    planned_start: Time = _absent()
    planned_end: Time | None = None
    delegate: UUID = _absent()
    location: LocationIn | None = None


class Cancellation(Body):
    """Why a task is given up."""

    model_config = ConfigDict(
        title="Cancellation", json_schema_extra={"examples": [{"reason": "El evento se suspendió."}]}
    )

    reason: Annotated[str, Field(min_length=1, max_length=500), Printable]


class AssignmentCreate(Body):
    """Who is to come along."""

    model_config = ConfigDict(
        title="AssignmentCreate", json_schema_extra={"examples": [{"officer": _OFFICER}]}
    )

    officer: UUID


class Assignment(Answer):
    """An officer's place in a task; `engaged` while the task is in progress or paused."""

    officer_id: UUID
    user_id: UUID
    internal_code: str
    name: str | None = Field(description="Null while the person's data are restricted.")
    assigned_at: datetime
    engaged: bool


class TaskRead(Answer):
    """A task with the officers who are assigned now; closed tasks have released theirs."""

    model_config = ConfigDict(title="Task", json_schema_extra={"examples": [_READ]})

    uuid: UUID
    code: str
    title: str
    description: str | None
    notes: str | None
    type: TaskType
    status: Status
    priority: Priority
    planned_start: datetime
    planned_end: datetime | None
    actual_start: datetime | None
    actual_end: datetime | None
    paused_at: datetime | None
    paused_s: float = Field(description="Seconds of all pauses that have ended.")
    delegate: UUID
    delegate_name: str | None = Field(description="Null while the person's data are restricted.")
    created_by: UUID
    location: Location | None
    officers: list[Assignment]
    created_at: datetime
    updated_at: datetime
    version: int


class TaskPage(Answer):
    """Tasks, the newest first; `next_cursor` is null on the last page."""

    model_config = ConfigDict(
        title="TaskPage", json_schema_extra={"examples": [{"items": [_READ], "next_cursor": None}]}
    )

    items: list[TaskRead]
    next_cursor: str | None


class HistoryLine(Answer):
    """One line of a task's life. `changes`: per field its new value, or null where that is free text."""

    at: datetime
    event: str
    actor: UUID | None = Field(description="uuid of the user; null: the system.")
    from_status: Status | None
    to_status: Status | None
    reason: str | None
    changes: dict[str, Any]


class HistoryPage(Answer):
    """A task's life from its beginning; `next_cursor` is null on the last page."""

    model_config = ConfigDict(
        title="HistoryPage", json_schema_extra={"examples": [{"items": [_LINE], "next_cursor": None}]}
    )

    items: list[HistoryLine]
    next_cursor: str | None
