"""The list of officers by any mix of filters, each mix compiled once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.db import Database, Read
from app.officer.repository import COLUMNS, FROM, LISTED, POINT
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
    "box": f"""ST_DWithin(o.last_position, {POINT}, CAST(:radius_m AS float8), false)
        AND ST_Y(o.last_position::geometry) BETWEEN CAST(:min_lat AS float8) AND CAST(:max_lat AS float8)
        AND ST_X(o.last_position::geometry) BETWEEN CAST(:min_lon AS float8) AND CAST(:max_lon AS float8)
    """,
}
_EARTH_M = 6_371_008.8  # mean radius of WGS 84
_SLACK = 1.01  # the sphere of the index and this one differ by less than 0.6 %


@dataclass(frozen=True)
class Circle:
    """Everything within `radius_m` metres of a point."""

    lat: float
    lon: float
    radius_m: float


@dataclass(frozen=True)
class Box:
    """Everything between two parallels and two meridians; it does not cross the date line."""

    min_lat: float
    min_lon: float
    max_lat: float
    max_lon: float

    @property
    def is_box(self) -> bool:
        """Whether each upper side is above its lower one."""
        return self.min_lat <= self.max_lat and self.min_lon <= self.max_lon

    def around(self) -> Circle:
        """A circle that holds the box."""
        lat, lon = (self.min_lat + self.max_lat) / 2, (self.min_lon + self.max_lon) / 2
        half_width = (self.max_lon - self.min_lon) / 2
        if half_width > 90:
            return Circle(lat, lon, math.pi * _EARTH_M * _SLACK)  # beyond it a corner is not the farthest
        farthest = max(_distance_m(lat, corner, half_width) for corner in (self.min_lat, self.max_lat))
        return Circle(lat, lon, farthest * _SLACK + 1)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which officers are listed; None is any."""

    availability: str | None = None
    unit: str | None = None
    on_shift: bool | None = None
    words: tuple[str, ...] = ()
    area: Circle | Box | None = None


async def page(database: Database, wanted: Filter, *, after: UUID | None, rows: int) -> list[asyncpg.Record]:
    """Up to `rows` officers that joined after the one given."""
    values = _values(wanted, after)
    read = statement(frozenset(values) & frozenset(_CONDITIONS))
    return await database.rows(read, rows=rows, **values)


@cache
def statement(filters: frozenset[str]) -> Read:
    """The list with these of its conditions."""
    where = " AND ".join([LISTED, *(_CONDITIONS[name] for name in sorted(filters))])
    return Read(text(f"SELECT {COLUMNS} {FROM} WHERE {where} ORDER BY o.id LIMIT CAST(:rows AS bigint)"))


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


def _distance_m(lat1: float, lat2: float, lon: float) -> float:
    """On a sphere, between two points `lon` degrees apart."""
    a, b, c = math.radians(lat1), math.radians(lat2), math.radians(lon)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(c / 2) ** 2
    return 2 * _EARTH_M * math.asin(min(1.0, math.sqrt(half)))
