"""Rows as callers see them; plain, as the hot reads skip the models that describe them."""

from __future__ import annotations

from typing import Any, Protocol

import orjson
from geoalchemy2 import WKTElement

from app.task.models import Priority
from app.task.schemas import LocationIn

DECIMALS = 7  # of a degree: about a centimetre, finer than any receiver
_WORDS = (None, *(priority.value for priority in Priority))


class Row(Protocol):
    """Columns as `app.task.repository` names them."""

    def __getitem__(self, name: str, /) -> Any:
        """The column's value."""


def as_answer(row: Row) -> dict[str, object]:
    """A row as `TaskRead` shows it. The officers are JSON already and are not read again."""
    lat = row["lat"]
    return {
        "uuid": row["uuid"],
        "code": row["code"],
        "title": row["title"],
        "description": row["description"],
        "notes": row["notes"],
        "type": row["type"],
        "status": row["status"],
        "priority": _WORDS[row["priority"]],
        "planned_start": row["planned_start"],
        "planned_end": row["planned_end"],
        "actual_start": row["actual_start"],
        "actual_end": row["actual_end"],
        "paused_at": row["paused_at"],
        "paused_s": row["paused_s"],
        "delegate": row["delegate"],
        "delegate_name": row["delegate_name"],
        "created_by": row["created_by"],
        "location": None
        if lat is None
        else {"lat": round(lat, DECIMALS), "lon": round(row["lon"], DECIMALS)},
        "officers": orjson.Fragment(row["officers"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "version": row["version"],
    }


def as_line(row: Row) -> dict[str, object]:
    """A row as `HistoryLine` shows it."""
    return {
        "at": row["at"],
        "event": row["event"],
        "actor": row["actor"],
        "from_status": row["from_status"],
        "to_status": row["to_status"],
        "reason": row["reason"],
        "changes": orjson.Fragment(row["changes"]),
    }


def point(location: LocationIn | None) -> WKTElement | None:
    """The column's value."""
    return None if location is None else WKTElement(f"POINT({location.lon!r} {location.lat!r})", srid=4326)
