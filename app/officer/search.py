"""The list of officers by any mix of filters, each mix compiled once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.area import POINT, Box, Circle, in_box
from app.db import Database, Read
from app.officer.repository import COLUMNS, FROM, LISTED
from app.page import depth
from app.words import parameters

# A shift that covers now; `o` is the officer.
ON_SHIFT = (
    "EXISTS (SELECT FROM officer_shifts s WHERE s.officer_id = o.id AND s.deleted_at IS NULL"
    " AND s.period @> now())"
)
_CONDITIONS: Mapping[str, str] = {
    "after": "o.id > (SELECT id FROM officers WHERE uuid = CAST(:after AS uuid))",
    "availability": "o.availability = CAST(:availability AS text)",
    "unit": "o.unit = CAST(:unit AS text)",
    "on_shift": ON_SHIFT,
    "off_shift": f"NOT {ON_SHIFT}",
    # The longest word finds its few candidates in the trigram indexes of two tables; then all must match.
    "q": """o.id IN (
            SELECT id FROM officers WHERE internal_code ILIKE CAST(:longest AS text)
            UNION ALL
            SELECT f.id FROM users p JOIN officers f ON f.user_id = p.id
            WHERE p.first_name ILIKE CAST(:longest AS text) OR p.last_name ILIKE CAST(:longest AS text)
        ) AND u.first_name || ' ' || u.last_name || ' ' || o.internal_code ILIKE ALL (CAST(:words AS text[]))
    """,
    "circle": f"ST_DWithin(o.last_position, {POINT}, CAST(:radius_m AS float8))",
    # The index knows circles only: the one round the box finds candidates, degrees decide.
    "box": f"ST_DWithin(o.last_position, {POINT}, CAST(:radius_m AS float8), false)"
    f" AND {in_box('o.last_position')}",
}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which officers are listed; None is any."""

    availability: str | None = None
    unit: str | None = None
    on_shift: bool | None = None
    words: tuple[str, ...] = ()
    area: Circle | Box | None = None


async def page(database: Database, wanted: Filter, *, after: UUID | None, rows: int) -> list[asyncpg.Record]:
    """`rows` officers or a few more that joined after the one given."""
    values = _values(wanted, after)
    read = statement(frozenset(values) & frozenset(_CONDITIONS), depth(rows))
    return await database.rows(read, **values)


@cache
def statement(filters: frozenset[str], rows: int) -> Read:
    """The list with these of its conditions."""
    where = " AND ".join([LISTED, *(_CONDITIONS[name] for name in sorted(filters))])
    return Read(text(f"SELECT {COLUMNS} {FROM} WHERE {where} ORDER BY o.id LIMIT {rows}"))


def _values(wanted: Filter, after: UUID | None) -> dict[str, Any]:
    """Parameters of the statement; a condition without one of its own name is marked by it."""
    values: dict[str, Any] = {"after": after, "availability": wanted.availability, "unit": wanted.unit}
    if wanted.on_shift is not None:
        values["on_shift" if wanted.on_shift else "off_shift"] = True
    values |= parameters(wanted.words)
    match wanted.area:
        case Circle():
            values |= {"circle": True, **vars(wanted.area)}
        case Box():
            values |= {"box": True, **vars(wanted.area), **vars(wanted.area.around())}
    return {name: value for name, value in values.items() if value is not None}
