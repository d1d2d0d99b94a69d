"""Queries on tasks, task_assignments, task_history. Deleted tasks are in none of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from asyncpg import Range
from sqlalchemy import ColumnElement, and_, false, func, insert, or_, select, text, union, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db import Database, Read, run
from app.officer.models import Availability, Officer
from app.task.models import Assignment, Task
from app.user.models import User

COLUMNS = """
    t.uuid, t.code, t.title, t.description, t.notes, t.type, t.status, t.priority, t.planned_start,
    t.planned_end, t.actual_start, t.actual_end, t.paused_at,
    CAST(extract(epoch FROM t.paused_total) AS float8) AS paused_s,
    d.uuid AS delegate,
    CASE WHEN d.restricted_at IS NULL THEN d.first_name || ' ' || d.last_name END AS delegate_name,
    c.uuid AS created_by, ST_Y(t.location::geometry) AS lat, ST_X(t.location::geometry) AS lon,
    a.officers, t.created_at, t.updated_at, t.version
"""
# The officers come as the text of JSON, which is passed on as it is: one row for each task, so that one
# statement is enough for a page.
JOINS = """
    JOIN users d ON d.id = t.delegate_id
    JOIN users c ON c.id = t.created_by
    CROSS JOIN LATERAL (
        SELECT CAST(coalesce(json_agg(json_build_object(
            'officer_id', o.uuid, 'user_id', u.uuid, 'internal_code', o.internal_code,
            'name', CASE WHEN u.restricted_at IS NULL THEN u.first_name || ' ' || u.last_name END,
            'assigned_at', to_char(s.assigned_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'engaged', s.engaged
        ) ORDER BY s.id), '[]') AS text) AS officers,
        coalesce(bool_or(u.uuid = CAST(:caller AS uuid)), false) AS is_assigned
        FROM task_assignments s
        JOIN officers o ON o.id = s.officer_id
        JOIN users u ON u.id = o.user_id
        WHERE s.task_id = t.id AND s.released_at IS NULL
    ) a
"""
ONE = f"""
    SELECT {COLUMNS}, (d.uuid = CAST(:caller AS uuid) OR a.is_assigned) AS is_own
    FROM tasks t {JOINS} WHERE t.uuid = CAST(:uuid AS uuid) AND t.deleted_at IS NULL
"""  # noqa: S608 - our own constants
_ONE = Read(text(ONE))
_USERS = Read(
    text("""
        SELECT id, uuid, restricted_at IS NOT NULL AS is_restricted FROM users
        WHERE uuid = ANY (CAST(:uuids AS uuid[])) AND deleted_at IS NULL
    """)
)
# Nothing, if one of the two people is not live or the delegate is restricted. And shown as it will be read,
# as long as nobody is assigned.
_INSERT = Read(
    text(f"""
        WITH t AS (
            INSERT INTO tasks (uuid, code, title, description, notes, type, status, priority, planned_start,
                planned_end, actual_start, delegate_id, created_by, location)
            SELECT CAST(:uuid AS uuid), CAST(:code AS text), CAST(:title AS text),
                CAST(:description AS text), CAST(:notes AS text), CAST(:type AS text),
                CAST(:status AS text), CAST(:priority AS smallint), CAST(:planned_start AS timestamptz),
                CAST(:planned_end AS timestamptz), CAST(:actual_start AS timestamptz),
                delegate.id, author.id, ST_GeogFromText(CAST(:location AS text))
            FROM users delegate, users author
            WHERE delegate.uuid = CAST(:delegate AS uuid) AND delegate.deleted_at IS NULL
                AND delegate.restricted_at IS NULL
                AND author.uuid = CAST(:caller AS uuid) AND author.deleted_at IS NULL
            RETURNING *
        )
        SELECT t.id, {COLUMNS} FROM t {JOINS}
    """)  # noqa: S608 - our own constants
)
_INSERTED = (
    *("uuid", "code", "title", "description", "notes", "type", "status", "priority"),
    *("planned_start", "planned_end", "actual_start"),
)

# Lines are only ever added, and those of one task under its lock: their number is a stable place.
_HISTORY = Read(
    text("""
        SELECT h.at, h.event, u.uuid AS actor, h.from_status, h.to_status, h.reason,
            CAST(h.changes AS text) AS changes
        FROM task_history h
        JOIN tasks t ON t.id = h.task_id
        LEFT JOIN users u ON u.id = h.actor_id
        WHERE t.uuid = CAST(:uuid AS uuid)
        ORDER BY h.id OFFSET CAST(:seen AS bigint) LIMIT CAST(:rows AS bigint)
    """)
)
COUNTS = "SELECT status, count(*) AS n FROM tasks WHERE deleted_at IS NULL GROUP BY status"


def _is_live(uuids: Collection[UUID]) -> ColumnElement[bool]:
    return and_(Officer.uuid.in_(uuids), Officer.deleted_at.is_(None), User.deleted_at.is_(None))


@dataclass(frozen=True)
class Person:
    """A live user, as far as a task refers to them."""

    id: int
    uuid: UUID
    is_restricted: bool


@dataclass(frozen=True)
class Member:
    """An officer with their person; `is_assigned` to the task at hand. `version` is the officer's."""

    id: int
    uuid: UUID
    user: UUID
    availability: str
    version: int
    is_restricted: bool
    is_assigned: bool


@dataclass(frozen=True)
class TaskRepository:
    """Reads and writes in one unit of work.

    Order of locks, for everybody: the task first, then officers by id. So no two wait for each other.
    """

    session: AsyncSession

    async def lock(self, uuid: UUID) -> tuple[Task, UUID] | None:
        """A live task and its delegate; nobody else changes it until the end of the unit of work."""
        statement = (
            select(Task, User.uuid)
            .join(User, User.id == Task.delegate_id)
            .where(Task.uuid == uuid, Task.deleted_at.is_(None))
            # FOR NO KEY UPDATE: excludes its like, and lets others refer to the row meanwhile.
            .with_for_update(key_share=True, of=Task)
        )
        found = (await self.session.execute(statement)).one_or_none()
        return (found[0], found[1]) if found is not None else None

    async def add(self, task: Task, *, delegate: UUID, caller: UUID) -> asyncpg.Record | None:
        """Insert a new task of the caller's, note its id and version, and show it as `find` does.

        None, and nothing is inserted, if the caller is not live any more or the delegate cannot be one.
        Raises IntegrityError on a taken code. The session does not know the task afterwards: what is created
        is changed in another unit of work.
        """
        location = task.location.as_ewkt().desc if task.location is not None else None
        rows = await run(
            self.session,
            _INSERT,
            location=location,
            delegate=delegate,
            caller=caller,
            **{name: getattr(task, name) for name in _INSERTED},
        )
        if not rows:
            return None
        task.id, task.version = rows[0]["id"], rows[0]["version"]
        return rows[0]

    async def flush(self) -> None:
        """Write what was changed on a task."""
        await self.session.flush()

    async def users(self, uuids: Collection[UUID]) -> dict[UUID, Person]:
        """The live people among these."""
        people = [Person(*row) for row in await run(self.session, _USERS, uuids=uuids)]
        return {person.uuid: person for person in people}

    async def lock_officers(self, uuids: Collection[UUID]) -> list[Member]:
        """The live officers among these, locked."""
        return await self._lock_members(_is_live(uuids), false()) if uuids else []

    async def lock_crew(self, task: Task, also: Collection[UUID] = ()) -> list[Member]:
        """The officers assigned to a locked task, and live others, locked together and so in order."""
        assigned = select(Assignment.officer_id).where(
            Assignment.task_id == task.id, Assignment.released_at.is_(None)
        )
        other = aliased(Officer)
        asked = select(other.id).where(other.uuid.in_(also))
        is_assigned = Officer.id.in_(assigned)
        # First by id: alone, "this one or that one" is found by looking at every officer there is.
        concerned = Officer.id.in_(union(assigned, asked))
        return await self._lock_members(and_(concerned, or_(is_assigned, _is_live(also))), is_assigned)

    async def everyone(self, task: Task) -> frozenset[UUID]:
        """uuids of the users of all officers who ever had a place in it, released ones too."""
        statement = (
            select(User.uuid)
            .join(Officer, Officer.user_id == User.id)
            .join(Assignment, Assignment.officer_id == Officer.id)
            .where(Assignment.task_id == task.id)
        )
        return frozenset((await self.session.scalars(statement)).all())

    async def _lock_members(
        self, condition: ColumnElement[bool], is_assigned: ColumnElement[bool]
    ) -> list[Member]:
        statement = (
            select(
                Officer.id,
                Officer.uuid,
                User.uuid,
                Officer.availability,
                Officer.version,
                User.restricted_at.is_not(None),
                is_assigned,
            )
            .join(User, User.id == Officer.user_id)
            .where(condition)
            .order_by(Officer.id)
            .with_for_update(key_share=True, of=Officer)
        )
        return [Member(*row) for row in (await self.session.execute(statement)).all()]

    async def assign(
        self, task: Task, officers: Iterable[Member], *, period: tuple[datetime, datetime], engaged: bool
    ) -> None:
        """Give locked officers a place. Raises IntegrityError: overlap, engaged elsewhere, there already."""
        rows = [
            {"task_id": task.id, "officer_id": each.id, "period": Range(*period), "engaged": engaged}
            for each in officers
        ]
        if rows:
            await self.session.execute(insert(Assignment), rows)

    async def move(self, task: Task, period: tuple[datetime, datetime]) -> None:
        """The open places get another window. Raises IntegrityError: overlap."""
        await self._update_open(task, period=Range(*period))

    async def engage(self, task: Task) -> None:
        """The open places are at work from now on. Raises IntegrityError: engaged elsewhere."""
        await self._update_open(task, engaged=True)

    async def release(self, task: Task, *, at: datetime, officer: Member | None = None) -> None:
        """Close the open places, or that of one officer."""
        await self._update_open(task, officer, released_at=at, engaged=False)

    async def _update_open(self, task: Task, officer: Member | None = None, **values: object) -> None:
        statement = update(Assignment).where(Assignment.task_id == task.id, Assignment.released_at.is_(None))
        if officer is not None:
            statement = statement.where(Assignment.officer_id == officer.id)
        await self.session.execute(statement.values(**values).execution_options(synchronize_session=False))

    async def set_availability(self, officers: Sequence[Member], availability: Availability) -> None:
        """Write it to locked officers."""
        await self.session.execute(
            update(Officer)
            .where(Officer.id.in_([each.id for each in officers]))
            .values(availability=availability.value, version=Officer.version + 1, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def one(self, uuid: UUID, caller: UUID) -> asyncpg.Record:
        """The task as `find` shows it."""
        return (await run(self.session, _ONE, uuid=uuid, caller=caller))[0]


async def find(database: Database, uuid: UUID, caller: UUID) -> asyncpg.Record | None:
    """One live task with its officers; `is_own` says whether it is the caller's."""
    return await database.row(_ONE, uuid=uuid, caller=caller)


async def history(database: Database, uuid: UUID, *, seen: int, rows: int) -> list[asyncpg.Record]:
    """Up to `rows` lines of a task's life after the first `seen`."""
    return await database.rows(_HISTORY, uuid=uuid, seen=seen, rows=rows)
