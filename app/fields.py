"""Kinds of value that bodies and queries of every noun are made of."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from app.i18n import text

CLOCK_SKEW = timedelta(seconds=60)  # chosen: phones without NTP are off by seconds, not minutes
# Chosen: wider than any plan or record, and far from where a time zone would leave the calendar.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def refuse(kind: str) -> PydanticCustomError:
    """An error whose text is under [invalid] in the catalogue."""
    return PydanticCustomError(kind, text(f"invalid.{kind}"))


def _printable(value: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        raise refuse("control_character")  # NUL has no place in PostgreSQL, the others in no name
    return unicodedata.normalize("NFC", value)


def _in_utc(value: datetime) -> datetime:
    if not EARLIEST <= value <= LATEST:
        raise refuse("out_of_time")
    return value.astimezone(UTC)


def _past(value: datetime) -> datetime:
    if value > datetime.now(UTC) + CLOCK_SKEW:
        raise refuse("in_the_future")
    return value


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("float_type", "a number, not a truth value")
    return value


def _prose(value: str) -> str:
    lines = value.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(_printable(line.replace("\t", " ")) for line in lines)


def _words(value: str) -> str:
    # Three characters make a trigram, without which every row would be read.
    if not any(len(word) >= 3 for word in value.split()):
        raise refuse("search_too_short")
    return value


Printable = AfterValidator(_printable)
Prose = Annotated[
    str, Field(min_length=1, max_length=4000, description="Several lines."), AfterValidator(_prose)
]
Line = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_printable)]
Words = Annotated[
    Line,
    AfterValidator(_words),
    Field(description="Parts of words, all of which must be found; one of 3 characters or more."),
]
Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Moment = Annotated[AwareDatetime, AfterValidator(_past), AfterValidator(_in_utc)]
Latitude = Annotated[
    float,
    Field(ge=-90, le=90, allow_inf_nan=False, description="Degrees, WGS 84."),
    BeforeValidator(_not_bool),
]
Longitude = Annotated[
    float,
    Field(ge=-180, le=180, allow_inf_nan=False, description="Degrees, WGS 84."),
    BeforeValidator(_not_bool),
]


class Body(BaseModel):
    """Base of what callers send: nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True
    )


class Answer(BaseModel):
    """Base of what callers get."""

    model_config = ConfigDict(frozen=True, extra="forbid")
