"""Events of the domain: written to the outbox with the change they tell of, published afterwards.

Topics: system, alerts, tasks, officers, emergencies, task.<uuid>, officer.<uuid>, user.<uuid>.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import BigInteger, DateTime, Index, Text, func, insert, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Row

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


@dataclass(frozen=True, kw_only=True)
class Event:
    """`type` as in the product contract, section 6; `data` holds uuids, codes and values, no names."""

    type: str
    topics: tuple[str, ...]
    data: Mapping[str, object]


async def emit(session: AsyncSession, *events: Event) -> None:
    """Commit them together with the caller's change; whoever publishes is woken by the commit."""
    if not events:
        return
    now = datetime.now(UTC)
    rows = [
        {
            "uuid": uuid4(),
            "topics": list(event.topics),
            "envelope": {
                "type": event.type,
                "data": orjson.loads(orjson.dumps(event.data, default=str, option=orjson.OPT_UTC_Z)),
                "ts": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            },
        }
        for event in events
    ]
    await session.execute(insert(OutboxEvent), rows)
    await session.execute(text(f"NOTIFY {CHANNEL}"))
