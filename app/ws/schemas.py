"""What callers send and get about sockets and notifications."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from app.fields import Answer, Body, Line, Prose, refuse
from app.page import MAX_LIMIT
from app.user.models import Level

_NOTE: dict[str, JsonValue] = {
    "users": ["0b0e7d6c-6d0e-4b5e-9a37-0f6b8a1a7a11"],
    "title": "Cambio de turno",
    "text": "El turno de la tarde empieza a las 15:00.",
}


def _not_twice(users: list[UUID]) -> list[UUID]:
    return list(dict.fromkeys(users))


class NotificationCreate(Body):
    """A message to people: to those named, to all of a level, or to everybody."""

    model_config = ConfigDict(
        title="NotificationCreate",
        json_schema_extra={"examples": [_NOTE, {"all": True, "text": "Simulacro a las 12:00."}]},
    )

    users: (
        Annotated[list[UUID], Field(min_length=1, max_length=MAX_LIMIT), AfterValidator(_not_twice)] | None
    ) = None
    level: Level | None = None
    all: Literal[True] | None = None
    title: Line | None = None
    text: Annotated[Prose, Field(max_length=500)]

    @model_validator(mode="after")
    def _check_audience(self) -> Self:
        if [self.users, self.level, self.all].count(None) != 2:
            raise refuse("one_audience")
        return self


class NotificationAccepted(Answer):
    """It is on its way to so many people; those without a connection get it when they come back."""

    model_config = ConfigDict(
        title="NotificationAccepted",
        json_schema_extra={
            "examples": [{"notification": "7c3f2b1e-0f0e-4a51-9a51-5b8f3f1f0c11", "recipients": 1}]
        },
    )

    notification: UUID
    recipients: int


class SocketState(Answer):
    """The sockets of the replica that answers, and how far events have come."""

    model_config = ConfigDict(
        title="SocketState",
        json_schema_extra={
            "examples": [
                {
                    "slot": "blue",
                    "connections": 41,
                    "topics": 57,
                    "sent": 90211,
                    "closed": {"1001": 12, "4408": 1},
                    "is_degraded": False,
                    "publishes": True,
                    "outbox": {"pending": 0, "oldest_s": None},
                    "stream": {"last_id": "1767225600000-0", "read_id": "1767225600000-0"},
                }
            ]
        },
    )

    slot: str | None
    connections: int
    topics: int = Field(description="That somebody here hears.")
    sent: int = Field(description="Events, one for each receiver, since the start.")
    closed: dict[str, int] = Field(description="By close code, since the start.")
    is_degraded: bool = Field(description="Redis is away: events wait.")
    publishes: bool = Field(description="This replica publishes events for all.")
    outbox: dict[str, float | None] = Field(description="Events not yet published; age of the oldest.")
    stream: dict[str, str | None] = Field(description="The last entry, and the last one read here.")
