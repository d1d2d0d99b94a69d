"""Table audit_events."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Boolean, DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Row, one_of


class Severity(StrEnum):
    """How long an event's payload is kept (product contract, section 9)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Channel(StrEnum):
    """The door somebody came through."""

    API = "api"
    WS = "ws"
    BOT = "bot"
    CLI = "cli"
    SYSTEM = "system"


class AuditEvent(Row):
    """One event. A trigger refuses every change but the seal and the payload's expiry."""

    __tablename__ = "audit_events"
    __table_args__ = (
        one_of("severity", Severity),
        one_of("channel", Channel),
        Index("audit_events_at_idx", "at"),
        Index("audit_events_actor_id_idx", "actor_id"),
        Index("audit_events_type_idx", "type"),
        Index("audit_events_resource_idx", "resource"),
        Index("audit_events_unsealed_idx", "id", postgresql_where=text("seq IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    uuid: Mapped[UUID] = mapped_column(unique=True, default=uuid4, server_default=text("gen_random_uuid()"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    type: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    channel: Mapped[str] = mapped_column(Text)
    resource: Mapped[str] = mapped_column(Text)
    success: Mapped[bool] = mapped_column(Boolean)
    request_id: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    payload_sha256: Mapped[bytes] = mapped_column(BYTEA)
    retention_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seq: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    prev_hash: Mapped[bytes | None] = mapped_column(BYTEA)
    hash: Mapped[bytes | None] = mapped_column(BYTEA)
