"""What callers send and get about officers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, model_validator

from app.area import MAX_M, Box, Circle, Unclear, asked_area
from app.fields import Answer, Body, Latitude, Line, Longitude, Moment, Words, refuse
from app.officer.models import Availability
from app.officer.search import Filter
from app.page import MAX_LIMIT
from app.user.schemas import EXAMPLE as PERSON
from app.user.schemas import UserCreate

EXAMPLE: dict[str, JsonValue] = {
    "internal_code": "UIO-00417",
    "rank": "Sargento segundo",
    "unit": "UPC La Mariscal",
    "specialty": "Patrullaje motorizado",
    "position": {"lat": -0.2042, "lon": -78.4903, "at": "2026-03-01T12:00:00Z"},
}
_READ: dict[str, JsonValue] = {
    **EXAMPLE,
    "uuid": "7a4b6a1e-6b0f-4a52-9f0c-0b7f2a8e5c11",
    "user_id": "0b0e7d6c-6d0e-4b5e-9a37-0f6b8a1a7a11",
    "first_name": "María",
    "last_name": "Quishpe",
    "availability": "available",
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
    "version": 1,
}

InternalCode = Annotated[
    str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{2,19}$", description="Capitals, digits, hyphens.")
]
Metres = Annotated[float, Field(gt=0, le=MAX_M, allow_inf_nan=False, description="Metres.")]


class OfficerFilter(Body):
    """The query of the list. A place is a point and a radius, or four sides; not both."""

    model_config = ConfigDict(extra="ignore")  # as with every other query

    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")
    availability: Availability | None = None
    unit: Line | None = Field(None, description="Exactly as it is written.")
    on_shift: bool | None = Field(None, description="Whether one of the officer's shifts covers this moment.")
    q: Words | None = Field(
        None, description="Parts of names or of the internal code; one of them of 3 characters or more."
    )
    lat: Latitude | None = None
    lon: Longitude | None = None
    radius_m: Metres | None = None
    min_lat: Latitude | None = None
    min_lon: Longitude | None = None
    max_lat: Latitude | None = None
    max_lon: Longitude | None = None

    @model_validator(mode="after")
    def _check_area(self) -> Self:
        try:
            area = self.area
        except Unclear:
            raise refuse("area") from None
        if isinstance(area, Box) and (area.south > area.north or area.west > area.east):
            raise refuse("box")
        return self

    @property
    def area(self) -> Circle | Box | None:
        """The place asked for. Raises Unclear."""
        return asked_area(
            (self.lat, self.lon, self.radius_m), (self.min_lat, self.min_lon, self.max_lat, self.max_lon)
        )

    @property
    def wanted(self) -> Filter:
        """Which officers are listed."""
        return Filter(
            availability=self.availability.value if self.availability is not None else None,
            unit=self.unit,
            on_shift=self.on_shift,
            words=tuple((self.q or "").split()),
            area=self.area,
        )


class PositionIn(Body):
    """Where somebody was, and when."""

    model_config = ConfigDict(title="PositionIn", json_schema_extra={"examples": [EXAMPLE["position"]]})

    lat: Latitude
    lon: Longitude
    at: Moment


class AvailabilityIn(Body):
    """Whether an officer can be sent. `on_task` is set by the system alone."""

    model_config = ConfigDict(
        title="AvailabilityIn", json_schema_extra={"examples": [{"availability": "off_duty"}]}
    )

    availability: Literal["available", "off_duty", "unavailable"]


class Position(Answer):
    """Where somebody was last seen, and when (UTC)."""

    lat: float
    lon: float
    at: datetime


class OfficerCreate(Body):
    """A new officer: of a known person (`user_id`), or together with a new one (`person`), in one step."""

    model_config = ConfigDict(
        title="OfficerCreate", json_schema_extra={"examples": [{**EXAMPLE, "person": PERSON}]}
    )

    user_id: UUID | None = None
    person: UserCreate | None = None
    internal_code: InternalCode
    rank: Line | None = None
    unit: Line | None = None
    specialty: Line | None = None
    position: PositionIn | None = None

    @model_validator(mode="after")
    def _check_person(self) -> Self:
        if (self.user_id is None) == (self.person is None):
            raise refuse("one_of_user_or_person")
        return self


class OfficerPatch(Body):
    """What changes about an officer; null empties a field, except the code."""

    model_config = ConfigDict(
        title="OfficerPatch", json_schema_extra={"examples": [{"rank": "Cabo primero", "unit": None}]}
    )

    internal_code: InternalCode = Field(default_factory=str)  # unset unless sent
    rank: Line | None = None
    unit: Line | None = None
    specialty: Line | None = None


class OfficerRead(Answer):
    """An officer."""

    model_config = ConfigDict(title="Officer", json_schema_extra={"examples": [_READ]})

    uuid: UUID
    user_id: UUID
    internal_code: str
    first_name: str
    last_name: str
    rank: str | None
    unit: str | None
    specialty: str | None
    availability: Availability
    position: Position | None
    created_at: datetime
    updated_at: datetime
    version: int


class OfficerPage(Answer):
    """Officers in the order they joined; `next_cursor` is null on the last page."""

    model_config = ConfigDict(
        title="OfficerPage", json_schema_extra={"examples": [{"items": [_READ], "next_cursor": None}]}
    )

    items: list[OfficerRead]
    next_cursor: str | None


class NearbyOfficer(OfficerRead):
    """An officer and how far away they are."""

    model_config = ConfigDict(
        title="NearbyOfficer", json_schema_extra={"examples": [{**_READ, "distance_m": 412.7}]}
    )

    distance_m: float = Field(description="Along the WGS 84 spheroid, metres.")


class Nearby(Answer):
    """The nearest officers, nearest first."""

    model_config = ConfigDict(
        title="Nearby", json_schema_extra={"examples": [{"items": [{**_READ, "distance_m": 412.7}]}]}
    )

    items: list[NearbyOfficer]
