"""The map, through the content cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import asyncpg

from app.area import Circle, Unclear, asked_area
from app.cached import ContentCache, Entry, Kind
from app.db import Database
from app.errors import Invalid
from app.map import repository
from app.map.cell import MAX_SPAN, Cell, circle, rectangle
from app.officer.service import DECIMALS
from app.stats.invalidation import MAP
from app.task.models import Priority

DEFAULT_RADIUS_M = 5000.0  # chosen: a district of the city


def asked_cell(
    center: tuple[float | None, float | None],
    radius_m: float | None,
    sides: tuple[float | None, float | None, float | None, float | None],
    *,
    is_grouped: bool,
) -> Cell:
    """The cell of a circle (lat, lon) or of a box (south, west, north, east). Raises Invalid for neither, for
    both, for half of one, and for a box that is empty or too large."""
    lat, lon = center
    if radius_m is None and lat is not None and lon is not None:
        radius_m = DEFAULT_RADIUS_M
    try:
        area = asked_area((lat, lon, radius_m), sides)
    except Unclear:
        area = None
    if area is None:
        raise Invalid("query", "map_area")
    if isinstance(area, Circle):
        return circle(area, is_grouped=is_grouped)
    if not (0 < area.north - area.south <= MAX_SPAN and 0 < area.width <= MAX_SPAN):
        raise Invalid("query", "map_span")
    return rectangle(area, is_grouped=is_grouped)


async def read_map(content: ContentCache, database: Database, cell: Cell) -> bytes:
    """Officers and active tasks of the cell as JSON."""

    async def compute() -> Mapping[str, object]:
        officers = await repository.within(database, repository.OFFICERS, cell)
        tasks = await repository.within(database, repository.TASKS, cell)
        return {
            "area": _area(cell),
            "officers": _shown(officers, _officer),
            "tasks": _shown(tasks, _task),
            "clusters": [*_clusters("officers", officers), *_clusters("tasks", tasks)],
        }

    return await content.get(Entry(kind=Kind.MAP, part=cell.key, tags=(MAP,)), compute)


def _shown(
    rows: list[asyncpg.Record], item: Callable[[asyncpg.Record], dict[str, Any]]
) -> list[dict[str, Any]]:
    return [{**item(row), **_place(row)} for row in rows if row["n"] is None]


def _officer(row: asyncpg.Record) -> dict[str, Any]:
    names = ("uuid", "internal_code", "unit", "availability", "position_at")
    return {name: row[name] for name in names}


def _task(row: asyncpg.Record) -> dict[str, Any]:
    names = ("uuid", "code", "type", "status", "planned_start")
    return {name: row[name] for name in names} | {"priority": Priority.of(row["priority"]).value}


def _clusters(kind: str, rows: list[asyncpg.Record]) -> list[dict[str, Any]]:
    return [{"kind": kind, "count": row["n"], **_place(row)} for row in rows if row["n"] is not None]


def _place(row: asyncpg.Record) -> dict[str, float]:
    return {"lat": round(row["lat"], DECIMALS), "lon": round(row["lon"], DECIMALS)}


def _area(cell: Cell) -> dict[str, object]:
    return {
        "center": {"lat": round(cell.lat, DECIMALS), "lon": round(cell.lon, DECIMALS)},
        "radius_m": cell.radius_m,
        "box": None if cell.box is None else vars(cell.box),
    }
