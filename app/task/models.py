"""Tables tasks, task_assignments, task_history."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from asyncpg import Range
from geoalchemy2 import Geography
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Interval,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Entity, Row, one_of


class Status(StrEnum):
    """Where a task is in its life."""

    PROGRAMMED = "programmed"
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


ACTIVE = (Status.PROGRAMMED, Status.IN_PROGRESS, Status.PAUSED)
ON_MAP = f"deleted_at IS NULL AND status IN ({', '.join(repr(each.value) for each in ACTIVE)})"
ENGAGING = (Status.IN_PROGRESS, Status.PAUSED)  # its officers are at it


class TaskType(StrEnum):
    """What kind of work it is."""

    PATROL = "patrol"
    INVESTIGATION = "investigation"
    SURVEILLANCE = "surveillance"
    INTERVENTION = "intervention"
    ADMINISTRATIVE = "administrative"
    TRAINING = "training"


class Priority(StrEnum):
    """How urgent it is; stored as 1 (low) to 5 (critical)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"
    CRITICAL = "critical"

    @property
    def number(self) -> int:
        """1 to 5."""
        return list(Priority).index(self) + 1

    @classmethod
    def of(cls, number: int) -> Priority:
        """The priority stored as `number`. Raises IndexError."""
        return list(cls)[number - 1]


class Task(Entity):
    """Work for officers. `paused_at` is known exactly while it is paused."""

    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint("code ~ '^[A-Z0-9][A-Z0-9-]{2,19}$'", name="code"),
        CheckConstraint("char_length(title) BETWEEN 10 AND 100", name="title"),
        one_of("type", TaskType),
        one_of("status", Status),
        CheckConstraint("priority IN (1, 2, 3, 4, 5)", name="priority"),
        CheckConstraint("planned_end > planned_start", name="planned"),
        CheckConstraint(
            "actual_end IS NULL OR (actual_start IS NOT NULL AND actual_end >= actual_start)", name="actual"
        ),
        CheckConstraint("(paused_at IS NOT NULL) = (status = 'paused')", name="paused"),
        # Of those on the map: else a map walks past all that ever were at a place.
        Index(
            "tasks_location_active_idx", "location", postgresql_using="gist", postgresql_where=text(ON_MAP)
        ),
        Index("tasks_status_priority_idx", "status", "priority"),
        Index("tasks_delegate_id_status_idx", "delegate_id", "status"),
        # Of those that are listed: else a list walks past all that were ever deleted.
        Index("tasks_created_at_id_idx", "created_at", "id", postgresql_where=text("deleted_at IS NULL")),
        *(
            Index(
                f"tasks_{column}_trgm_idx",
                column,
                postgresql_using="gin",
                postgresql_ops={column: "gin_trgm_ops"},
            )
            for column in ("title", "code", "description")
        ),
    )

    code: Mapped[str] = mapped_column(Text, unique=True)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    notes: Mapped[str | None] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default=text("'programmed'"))
    priority: Mapped[int] = mapped_column(SmallInteger)
    planned_start: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    planned_end: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    actual_start: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    actual_end: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paused_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paused_total: Mapped[timedelta] = mapped_column(Interval, server_default=text("'0'"), default=timedelta())
    delegate_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    created_by: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    location: Mapped[Any | None] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))


class Assignment(Row):
    """An officer's place in a task, open until `released_at`.

    `period` is the planned window; among open assignments of one officer no two overlap. `engaged`: the task
    is in progress or paused; an officer is engaged once at most.
    """

    __tablename__ = "task_assignments"
    __table_args__ = (
        ExcludeConstraint(
            ("officer_id", "="),
            ("period", "&&"),
            where=text("released_at IS NULL"),
            using="gist",
            name="task_assignments_overlap_excl",
        ),
        Index(
            "task_assignments_task_id_officer_id_key",
            "task_id",
            "officer_id",
            unique=True,
            postgresql_where=text("released_at IS NULL"),
        ),
        Index(
            "task_assignments_engaged_key",
            "officer_id",
            unique=True,
            postgresql_where=text("engaged AND released_at IS NULL"),
        ),
        Index("task_assignments_officer_id_idx", "officer_id"),
        Index("task_assignments_task_id_idx", "task_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    task_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tasks.id"))
    officer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("officers.id"))
    assigned_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    released_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    period: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    engaged: Mapped[bool] = mapped_column(Boolean, server_default=text("false"), default=False)


class TaskHistory(Row):
    """One line of a task's life; a trigger refuses every change."""

    __tablename__ = "task_history"
    __table_args__ = (Index("task_history_task_id_at_idx", "task_id", "at"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    task_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("tasks.id"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    event: Mapped[str] = mapped_column(Text)
    from_status: Mapped[str | None] = mapped_column(Text)
    to_status: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    changes: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"), default=dict)


code_counters = Table(
    "task_code_counters",
    Row.metadata,
    Column("prefix", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("last", Integer, nullable=False),
)
