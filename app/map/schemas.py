"""What the map shows."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from app.fields import Answer
from app.officer.models import Availability
from app.stats.schemas import Cached
from app.task.models import Priority, Status, TaskType

_OFFICER: dict[str, JsonValue] = {
    "uuid": "7a4b6a1e-6b0f-4a52-9f0c-0b7f2a8e5c11",
    "internal_code": "UIO-00417",
    "unit": "UPC La Mariscal",
    "availability": "available",
    "lat": -0.2042,
    "lon": -78.4903,
    "position_at": "2026-03-01T12:00:00Z",
}
_TASK: dict[str, JsonValue] = {
    "uuid": "3f0d2c1a-8f43-4a6b-9d60-5f6f4d2b7c10",
    "code": "TSK-20260301-0001",
    "type": "patrol",
    "status": "in_progress",
    "priority": "high",
    "planned_start": "2026-03-01T12:00:00Z",
    "lat": -0.2051,
    "lon": -78.4911,
}


class MapOfficer(Answer):
    """An officer and where they were last seen."""

    uuid: UUID
    internal_code: str
    unit: str | None
    availability: Availability
    lat: float
    lon: float
    position_at: datetime


class MapTask(Answer):
    """A task that is programmed, in progress or paused, and where it is."""

    uuid: UUID
    code: str
    type: TaskType
    status: Status
    priority: Priority
    planned_start: datetime
    lat: float
    lon: float


class MapCluster(Answer):
    """Several things near each other, and the middle of them."""

    kind: Literal["officers", "tasks"]
    count: int
    lat: float
    lon: float


class Point(Answer):
    """Degrees, WGS 84."""

    lat: float
    lon: float


class BoxRead(Answer):
    """Between two parallels and two meridians; `west` > `east` crosses the date line."""

    south: float
    west: float
    north: float
    east: float


class Area(Answer):
    """What is shown: within `radius_m` metres of the centre and, if there is one, within the box. A little
    other than what was asked for, so that callers nearby share an answer."""

    center: Point
    radius_m: float
    box: BoxRead | None


class MapRead(Cached):
    """Officers and active tasks in an area; of a kind with too many, groups instead."""

    model_config = ConfigDict(
        title="Map",
        json_schema_extra={
            "examples": [
                {
                    "as_of": "2026-03-01T12:00:00Z",
                    "cached": False,
                    "area": {"center": {"lat": -0.2042, "lon": -78.4903}, "radius_m": 5000, "box": None},
                    "officers": [_OFFICER],
                    "tasks": [_TASK],
                    "clusters": [{"kind": "officers", "count": 812, "lat": -0.21, "lon": -78.49}],
                }
            ]
        },
    )

    area: Area
    officers: list[MapOfficer]
    tasks: list[MapTask]
    clusters: list[MapCluster] = Field(description="Of a kind with more than 500 things, or if asked for.")
