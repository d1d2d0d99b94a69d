"""Events of the domain: written to the outbox with the change they tell of, published afterwards.

Topics: system, alerts, tasks, officers, emergencies, task.<uuid>, officer.<uuid>, user.<uuid>.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, DateTime, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Read, Row, rows_at_end

CHANNEL = "gad_outbox"  # of PostgreSQL's NOTIFY: a committed event is published at once


class OutboxEvent(Row):
    """An event on its way to the stream."""

    __tablename__ = "event_outbox"
    __table_args__ = (
        Index("event_outbox_pending_idx", "id", postgresql_where=text("published_at IS NULL")),
        Index("event_outbox_published_at_idx", "published_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    uuid: Mapped[UUID] = mapped_column(unique=True, default=uuid4, server_default=text("gen_random_uuid()"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    topics: Mapped[list[str]] = mapped_column(ARRAY(Text))
    envelope: Mapped[dict[str, Any]] = mapped_column(JSONB)
    published_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


# All of them in one statement, in their order, and the notice that the commit will give once.
_INSERT = Read(
    text(f"""
        INSERT INTO event_outbox (uuid, topics, envelope)
        SELECT e.uuid, e.topics, e.envelope
        FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb))
            AS (uuid uuid, topics text[], envelope jsonb)) WITH ORDINALITY AS e
        ORDER BY e.ordinality
        RETURNING pg_notify('{CHANNEL}', '')
    """)  # noqa: S608 - our own constant
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """`type` as in the product contract, section 6; `data` holds uuids, codes and values, no names."""

    type: str
    topics: tuple[str, ...]
    data: Mapping[str, object]


def emit(session: AsyncSession, *events: Event) -> None:
    """Commit them together with the caller's change; whoever publishes is woken by the commit."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    rows = [
        {
            "uuid": uuid4(),
            "topics": event.topics,
            "envelope": {"type": event.type, "data": event.data, "ts": at},
        }
        for event in events
    ]
    rows_at_end(session, _INSERT, rows)
