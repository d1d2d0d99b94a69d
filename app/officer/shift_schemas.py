"""What callers send and get about shifts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from pydantic import ConfigDict, JsonValue, model_validator

from app.fields import Answer, Body, Time, refuse

LONGEST = timedelta(days=31)  # chosen: longer is a wrong month, no shift
EXAMPLE: dict[str, JsonValue] = {"starts_at": "2026-03-01T12:00:00Z", "ends_at": "2026-03-01T20:00:00Z"}
_READ: dict[str, JsonValue] = {
    **EXAMPLE,
    "uuid": "3c5a9a52-0a3e-4e55-9d0a-5a0e6c0b7f20",
    "created_at": "2026-02-20T12:00:00Z",
    "version": 1,
}


class ShiftCreate(Body):
    """When an officer is on duty; the end itself is no longer part of it."""

    model_config = ConfigDict(title="ShiftCreate", json_schema_extra={"examples": [EXAMPLE]})

    starts_at: Time
    ends_at: Time

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if not timedelta() < self.ends_at - self.starts_at <= LONGEST:
            raise refuse("shift_length")
        return self


class ShiftRead(Answer):
    """A shift of an officer."""

    model_config = ConfigDict(title="Shift", json_schema_extra={"examples": [_READ]})

    uuid: UUID
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    version: int


class ShiftPage(Answer):
    """Shifts, the latest first; `next_cursor` is null on the last page."""

    model_config = ConfigDict(
        title="ShiftPage", json_schema_extra={"examples": [{"items": [_READ], "next_cursor": None}]}
    )

    items: list[ShiftRead]
    next_cursor: str | None
