"""What callers send and get about emergencies."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from app.fields import Answer, Body, Latitude, Longitude, Prose
from app.officer.schemas import Metres
from app.task.dispatch import OFFICERS_MAX
from app.task.schemas import TaskRead, Title

EXAMPLE: dict[str, JsonValue] = {
    "lat": -0.2042,
    "lon": -78.4903,
    "title": "Asalto en la calle Foch",
    "description": "Dos personas armadas, huyen a pie hacia el norte.",
    "officers": 2,
}
_OFFICER: dict[str, JsonValue] = {
    "officer_id": "7a4b6a1e-6b0f-4a52-9f0c-0b7f2a8e5c11",
    "user_id": "0b0e7d6c-6d0e-4b5e-9a37-0f6b8a1a7a11",
    "internal_code": "UIO-00417",
    "name": "María Quishpe",
    "distance_m": 412.7,
}
_TASK = {
    **TaskRead.model_config["json_schema_extra"]["examples"][0],  # type: ignore[index,dict-item]
    "code": "EMG-20260301-0001",
    "type": "intervention",
    "priority": "critical",
    "status": "in_progress",
    "actual_start": "2026-03-01T22:00:00Z",
    "planned_end": None,
}


class EmergencyCreate(Body):
    """Where help is needed, and how many are to come."""

    model_config = ConfigDict(title="EmergencyCreate", json_schema_extra={"examples": [EXAMPLE]})

    lat: Latitude
    lon: Longitude
    title: Title | None = None
    description: Prose | None = None
    officers: Annotated[int, Field(strict=True, ge=1, le=OFFICERS_MAX)] = 1
    max_distance_m: Metres = 50_000  # product contract, section 7


class SentOfficer(Answer):
    """An officer who was sent."""

    officer_id: UUID
    user_id: UUID
    internal_code: str
    name: str
    distance_m: float = Field(description="From the place, along the WGS 84 spheroid, metres.")


class EmergencyRead(Answer):
    """The task that was made, in progress already, and who was sent, nearest first; fewer if no more can."""

    model_config = ConfigDict(
        title="Emergency", json_schema_extra={"examples": [{"task": _TASK, "officers": [_OFFICER]}]}
    )

    task: TaskRead
    officers: list[SentOfficer]
