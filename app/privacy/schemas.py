"""What callers send and get about consents."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from app.fields import Answer, Body
from app.privacy.models import Purpose

NOTICE_VERSION = "1"  # of the text people agree to; a new text gets the next number

_READ: dict[str, JsonValue] = {
    "purpose": "location_sharing",
    "granted": True,
    "notice_version": NOTICE_VERSION,
    "at": "2026-03-01T12:00:00Z",
}


class ConsentCreate(Body):
    """A yes to one purpose. The way back is DELETE."""

    model_config = ConfigDict(
        title="ConsentCreate",
        json_schema_extra={"examples": [{"purpose": "location_sharing", "granted": True}]},
    )

    purpose: Purpose
    granted: Literal[True]
    notice_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,19}$")] = NOTICE_VERSION


class ConsentRead(Answer):
    """The answer that rules for a purpose; `at` and `notice_version` are null while none was given."""

    model_config = ConfigDict(title="Consent", json_schema_extra={"examples": [_READ]})

    purpose: Purpose
    granted: bool
    notice_version: str | None
    at: datetime | None


class Consents(Answer):
    """One for each purpose."""

    model_config = ConfigDict(title="Consents", json_schema_extra={"examples": [{"items": [_READ]}]})

    items: list[ConsentRead]
