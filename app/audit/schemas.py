"""What administrators get to see of the audit trail, and how they narrow it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, ConfigDict, Field, JsonValue

from app.audit.chain import Wrong
from app.audit.models import Channel, Severity
from app.fields import Answer

_READ: dict[str, JsonValue] = {
    "uuid": "3f0d2c1a-8f43-4a6b-9d60-5f6f4d2b7c10",
    "at": "2026-03-01T12:00:00Z",
    "type": "task.create",
    "severity": "low",
    "actor": "0b0e7d6c-6d0e-4b5e-9a37-0f6b8a1a7a11",
    "channel": "api",
    "resource": "task/7a4b6a1e-6b0f-4a52-9f0c-0b7f2a8e5c11",
    "success": True,
    "request_id": "5f0c7a52b3c94b0f9a3e8f6f0d7f1f11",
    "payload": {"fields": ["title", "officers"]},
    "seq": 4711,
    "hash": "9f2c8d5e" * 8,
}

# Wider than any life of the system, and narrow enough for every clock between here and the database.
Instant = Annotated[
    AwareDatetime, Query(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))
]


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which events; None does not narrow. `since` is within, `until` is not."""

    type: str | None = None
    actor: UUID | None = None
    resource: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    success: bool | None = None

    def given(self) -> dict[str, Any]:
        """Those that narrow."""
        return {name: value for name, value in vars(self).items() if value is not None}


async def filters(  # noqa: PLR0917 - FastAPI calls it by name
    type_: Annotated[
        str | None,
        Query(alias="type", pattern=r"^[a-z][a-z0-9_.]{0,63}$", description="Such as task.create."),
    ] = None,
    actor: Annotated[UUID | None, Query(description="A person.")] = None,
    resource: Annotated[
        str | None, Query(pattern=r"^[ -~]{1,200}$", description="Such as task/{uuid}.")
    ] = None,
    from_: Annotated[Instant | None, Query(alias="from", description="The first moment.")] = None,
    to: Annotated[Instant | None, Query(description="The first moment after.")] = None,
    success: bool | None = None,
) -> Filters:
    """The filters of a request."""
    return Filters(type=type_, actor=actor, resource=resource, since=from_, until=to, success=success)


class AuditEventRead(Answer):
    """One event. `seq` and `hash` are null for the moment before it is sealed."""

    model_config = ConfigDict(title="AuditEvent", json_schema_extra={"examples": [_READ]})

    uuid: UUID
    at: datetime
    type: str
    severity: Severity
    actor: UUID | None
    channel: Channel
    resource: str
    success: bool
    request_id: str
    payload: dict[str, JsonValue] | None
    seq: int | None
    hash: str | None = Field(description="SHA-256, hexadecimal.")


class AuditEventPage(Answer):
    """Events, the latest first; `next_cursor` is null on the last page."""

    model_config = ConfigDict(
        title="AuditEventPage", json_schema_extra={"examples": [{"items": [_READ], "next_cursor": None}]}
    )

    items: list[AuditEventRead]
    next_cursor: str | None


class FirstBadRead(Answer):
    """The first row that does not fit into the chain; `uuid` is null for one that is missing."""

    seq: int
    uuid: UUID | None
    wrong: Wrong


class Head(Answer):
    """The last row that was checked. Noted elsewhere, it shows whether the end was cut off or rewritten."""

    seq: int
    hash: str


class Verification(Answer):
    """Whether the trail is as it was written."""

    model_config = ConfigDict(
        title="AuditVerification",
        json_schema_extra={
            "examples": [
                {
                    "ok": False,
                    "checked": 4710,
                    "unsealed": 2,
                    "without_payload": 0,
                    "head": {"seq": 4710, "hash": "4be2a1c0" * 8},
                    "first_bad": {
                        "seq": 4711,
                        "uuid": "3f0d2c1a-8f43-4a6b-9d60-5f6f4d2b7c10",
                        "wrong": "hash",
                    },
                }
            ]
        },
    )

    ok: bool
    checked: int = Field(description="Rows that fit, from the first on.")
    unsealed: int = Field(description="Rows not yet in the chain; usually those of the last second.")
    without_payload: int = Field(description="Checked rows whose payload expired or was erased.")
    head: Head
    first_bad: FirstBadRead | None
