"""What is within a cell. Deleted things are not, nor people whose data may not be processed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg
from sqlalchemy import text

from app.area import POINT, in_box
from app.db import Database, Read
from app.map.cell import Cell
from app.task.models import ON_MAP
from app.user.models import HIDDEN

MOST = 500  # chosen: as many points as a screen can tell apart; more are grouped


@dataclass(frozen=True)
class _Layer:
    """One kind of thing on the map: its columns, where it is kept, where it is, what may be shown."""

    columns: str
    table: str
    place: str
    shown: str


# No names and no free text: answers are cached in Redis, which holds no personal value in clear.
_OFFICERS = _Layer(
    "uuid, internal_code, unit, availability, position_at",
    "officers",
    "last_position",
    # Hidden people are few and have an index of their own; to look everybody up costs more than to find them.
    f"deleted_at IS NULL AND NOT EXISTS (SELECT FROM users u WHERE u.id = user_id AND {HIDDEN})",
)
_TASKS = _Layer("uuid, code, type, status, priority, planned_start", "tasks", "location", ON_MAP)


def _sql(layer: _Layer, *, has_box: bool) -> str:
    """Things by themselves, without `n`; or, if they are asked for or more than `MOST`, groups of `n`.

    Both from one search: to find out that there are too many is to have found them.
    """
    lat, lon = f"ST_Y({layer.place}::geometry)", f"ST_X({layer.place}::geometry)"
    # The circle finds by the index; the box, where there is one, is exact on its parallels and meridians.
    box = f"AND {in_box(layer.place)}" if has_box else ""
    nothing = ", ".join("NULL" for _ in layer.columns.split(","))
    return f"""
        WITH found AS MATERIALIZED (
            SELECT id, {lat} AS lat, {lon} AS lon FROM {layer.table}
            WHERE {layer.shown} AND ST_DWithin({layer.place}, {POINT}, CAST(:radius_m AS float8)) {box}
        ), form AS MATERIALIZED (
            SELECT CAST(:is_grouped AS bool) OR count(*) > {MOST} AS is_grouped FROM found
        )
        SELECT NULL AS n, lat, lon, {layer.columns}
        FROM found JOIN {layer.table} USING (id) WHERE NOT (SELECT is_grouped FROM form)
        UNION ALL
        (SELECT count(*), avg(lat), avg(lon), {nothing}
        FROM found WHERE (SELECT is_grouped FROM form)
        GROUP BY round(lon / CAST(:width AS float8)), round(lat / CAST(:height AS float8))
        ORDER BY 1 DESC, 2, 3)
    """  # noqa: S608 - our own constants


OFFICERS, TASKS = (
    {has_box: Read(text(_sql(layer, has_box=has_box))) for has_box in (False, True)}
    for layer in (_OFFICERS, _TASKS)
)
"""The statements of each layer, by whether the cell has a box."""


def arguments(cell: Cell) -> dict[str, float]:
    """The cell as the statements take it."""
    width, height = cell.group_deg
    around = {"lat": cell.lat, "lon": cell.lon, "radius_m": cell.radius_m}
    form = {"is_grouped": cell.is_grouped, "width": width, "height": height}
    return around | form | (vars(cell.box) if cell.box is not None else {})


async def within(database: Database, layer: Mapping[bool, Read], cell: Cell) -> list[asyncpg.Record]:
    """Things of `OFFICERS` or `TASKS` within the cell, with `lat` and `lon`: up to `MOST` by themselves (`n`
    is None), else groups of `n`, the largest first."""
    return await database.rows(layer[cell.box is not None], **arguments(cell))
