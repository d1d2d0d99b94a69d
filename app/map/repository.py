"""What is within a cell. Deleted things are not, nor people whose data may not be processed."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg
from sqlalchemy import text

from app.area import POINT, in_box
from app.db import Database, Read
from app.map.cell import Cell
from app.task.models import ACTIVE

MOST = 500  # chosen: as many points as a screen can tell apart; more are grouped

_ACTIVE = ", ".join(f"'{each}'" for each in ACTIVE)


@dataclass(frozen=True)
class _Layer:
    """One kind of thing on the map: its columns, where it is kept, where it is, what may be shown."""

    columns: str
    source: str
    place: str
    shown: str


# No names and no free text: answers are cached in Redis, which holds no personal value in clear.
_OFFICERS = _Layer(
    "o.uuid, o.internal_code, o.unit, o.availability, o.position_at",
    "officers o JOIN users u ON u.id = o.user_id",
    "o.last_position",
    "o.deleted_at IS NULL AND u.deleted_at IS NULL AND u.restricted_at IS NULL",
)
_TASKS = _Layer(
    "t.uuid, t.code, t.type, t.status, t.priority, t.planned_start",
    "tasks t",
    "t.location",
    f"t.deleted_at IS NULL AND t.status IN ({_ACTIVE})",
)


def _within(layer: _Layer) -> str:
    # The circle finds by the index; the box, where there is one, is exact on its parallels and meridians.
    return f"""
        FROM {layer.source}
        WHERE {layer.shown} AND ST_DWithin({layer.place}, {POINT}, CAST(:radius_m AS float8))
            AND {in_box(layer.place)}
    """


def points_sql(layer: _Layer) -> str:
    """Each thing by itself: up to one more than `MOST`, so that too many show."""
    return f"""
        SELECT {layer.columns}, ST_Y({layer.place}::geometry) AS lat, ST_X({layer.place}::geometry) AS lon
        {_within(layer)} LIMIT {MOST + 1}
    """


def groups_sql(layer: _Layer) -> str:
    """How many there are around each knot of a grid, and the middle of them."""
    grid = f"ST_SnapToGrid({layer.place}::geometry, CAST(:width AS float8), CAST(:height AS float8))"
    return f"""
        SELECT count(*) AS n,
            avg(ST_Y({layer.place}::geometry)) AS lat, avg(ST_X({layer.place}::geometry)) AS lon
        {_within(layer)} GROUP BY {grid} ORDER BY n DESC, lat, lon
    """


OFFICER_POINTS, OFFICER_GROUPS = Read(text(points_sql(_OFFICERS))), Read(text(groups_sql(_OFFICERS)))
TASK_POINTS, TASK_GROUPS = Read(text(points_sql(_TASKS))), Read(text(groups_sql(_TASKS)))


def arguments(cell: Cell) -> dict[str, float]:
    """The cell as the statements take it; without a box, one around the whole earth."""
    box = cell.box
    return {
        "lat": cell.lat,
        "lon": cell.lon,
        "radius_m": cell.radius_m,
        "south": box.south if box else -90.0,
        "west": box.west if box else -180.0,
        "north": box.north if box else 90.0,
        "east": box.east if box else 180.0,
    }


async def points(database: Database, read: Read, cell: Cell) -> list[asyncpg.Record]:
    """Up to `MOST` + 1 things within the cell, with `lat` and `lon`."""
    return await database.rows(read, **arguments(cell))


async def groups(database: Database, read: Read, cell: Cell) -> list[asyncpg.Record]:
    """Groups of things within the cell: `n`, `lat`, `lon`, the largest first."""
    width, height = cell.group_deg
    return await database.rows(read, **arguments(cell), width=width, height=height)
