"""The list of tasks by any mix of filters, each mix compiled once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.db import Database, Read
from app.page import depth
from app.task.models import Priority, Status, TaskType
from app.task.repository import COLUMNS, JOINS
from app.words import contains

_USER = "(SELECT id FROM users WHERE uuid = CAST(:{} AS uuid))"
# Sets of tasks that an index finds at once. Materialized: else the planner, who cannot know how few they are,
# may walk the whole table by date and look at each.
_SETS: Mapping[str, str] = {
    # Like the rule for one task: delegate, or an open place in it.
    "own": f"""
        SELECT id FROM tasks WHERE delegate_id = {_USER.format("caller")}
        UNION SELECT s.task_id FROM task_assignments s JOIN officers o ON o.id = s.officer_id
        WHERE o.user_id = {_USER.format("caller")} AND s.released_at IS NULL
    """,  # noqa: S608 - our own constants
    # Open or released: a closed task has released everybody, and is still part of their work.
    "officer": """
        SELECT DISTINCT task_id AS id FROM task_assignments
        WHERE officer_id = (SELECT id FROM officers WHERE uuid = CAST(:officer AS uuid))
    """,
    "q": """
        SELECT id FROM tasks WHERE title ILIKE CAST(:q AS text) OR code ILIKE CAST(:q AS text)
        OR description ILIKE CAST(:q AS text)
    """,
}
_CONDITIONS: Mapping[str, str] = {
    "status": "t.status = ANY (CAST(:status AS text[]))",
    "type": "t.type = CAST(:type AS text)",
    "priority": "t.priority = CAST(:priority AS smallint)",
    "delegate": f"t.delegate_id = {_USER.format('delegate')}",
    "since": "t.planned_start >= CAST(:since AS timestamptz)",
    "until": "t.planned_start < CAST(:until AS timestamptz)",
    "after": "(t.created_at, t.id) < (CAST(:after_at AS timestamptz),"
    " (SELECT id FROM tasks WHERE uuid = CAST(:after AS uuid)))",
    **{name: f"t.id IN (SELECT id FROM set_{name})" for name in _SETS},  # noqa: S608 - our own constants
}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which tasks are listed; None is any. `own`: only the caller's, whatever else is asked for."""

    caller: UUID
    own: bool
    status: Sequence[Status] = ()
    type: TaskType | None = None
    priority: Priority | None = None
    delegate: UUID | None = None
    officer: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None


async def page(
    database: Database, wanted: Filter, *, after: tuple[datetime, UUID] | None, rows: int
) -> list[asyncpg.Record]:
    """`rows` tasks or a few more, the newest first, that were created before the one given."""
    values: dict[str, Any] = {
        "own": wanted.own or None,
        "status": [each.value for each in wanted.status] or None,
        "type": wanted.type.value if wanted.type is not None else None,
        "priority": wanted.priority.number if wanted.priority is not None else None,
        "delegate": wanted.delegate,
        "officer": wanted.officer,
        "since": wanted.since,
        "until": wanted.until,
        "q": contains(wanted.q) if wanted.q is not None else None,
        "after": after[1] if after is not None else None,
    }
    given = {name: value for name, value in values.items() if value is not None}
    read = statement(frozenset(given), depth(rows))
    after_at = after[0] if after is not None else None
    return await database.rows(read, **given, after_at=after_at, caller=wanted.caller)


@cache
def statement(filters: frozenset[str], rows: int) -> Read:
    """The list with these of its conditions; their names are few, so are their mixes."""
    sets = [f"set_{name} AS MATERIALIZED ({_SETS[name]})" for name in sorted(filters & _SETS.keys())]
    where = " AND ".join(["t.deleted_at IS NULL", *(_CONDITIONS[name] for name in sorted(filters))])
    # The page first, then its people and places: for as many tasks as are shown, not as are found.
    chosen = f"""page AS MATERIALIZED (
        SELECT t.* FROM tasks t WHERE {where} ORDER BY t.created_at DESC, t.id DESC
        LIMIT {rows}
    )"""  # noqa: S608 - our own constants
    return Read(
        text(
            f"WITH {', '.join([*sets, chosen])} SELECT {COLUMNS} FROM page t {JOINS}"  # noqa: S608 - our own
            " ORDER BY t.created_at DESC, t.id DESC"
        )
    )
