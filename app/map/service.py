"""The map, through the content cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import asyncpg

from app.area import Circle, Unclear, asked_area
from app.cached import ContentCache, Entry, Kind
from app.db import Database, Read
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
        officers, officer_groups = await _layer(
            database, cell, repository.OFFICER_POINTS, repository.OFFICER_GROUPS
        )
        tasks, task_groups = await _layer(database, cell, repository.TASK_POINTS, repository.TASK_GROUPS)
        return {
            "area": _area(cell),
            "officers": _shown(officers, _officer),
            "tasks": _shown(tasks, _task),
            "clusters": [
                *(_cluster("officers", row) for row in officer_groups),
                *(_cluster("tasks", row) for row in task_groups),
            ],
        }

    return await content.get(Entry(kind=Kind.MAP, part=cell.key, tags=(MAP,)), compute)


async def _layer(
    database: Database, cell: Cell, points: Read, groups: Read
) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
    """Things by themselves, or groups of them."""
    if not cell.is_grouped:
        found = await repository.points(database, points, cell)
        if len(found) <= repository.MOST:
            return found, []
    return [], await repository.groups(database, groups, cell)


def _shown(
    rows: list[asyncpg.Record], item: Callable[[asyncpg.Record], dict[str, Any]]
) -> list[dict[str, Any]]:
    return [{**item(row), **_place(row)} for row in rows]


def _officer(row: asyncpg.Record) -> dict[str, Any]:
    names = ("uuid", "internal_code", "unit", "availability", "position_at")
    return {name: row[name] for name in names}


def _task(row: asyncpg.Record) -> dict[str, Any]:
    names = ("uuid", "code", "type", "status", "planned_start")
    return {name: row[name] for name in names} | {"priority": Priority.of(row["priority"]).value}


def _cluster(kind: str, row: asyncpg.Record) -> dict[str, Any]:
    return {"kind": kind, "count": row["n"], **_place(row)}


def _place(row: asyncpg.Record) -> dict[str, float]:
    return {"lat": round(row["lat"], DECIMALS), "lon": round(row["lon"], DECIMALS)}


def _area(cell: Cell) -> dict[str, object]:
    return {
        "center": {"lat": round(cell.lat, DECIMALS), "lon": round(cell.lon, DECIMALS)},
        "radius_m": cell.radius_m,
        "box": None if cell.box is None else vars(cell.box),
    }
