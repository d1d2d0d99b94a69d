"""Writes audit events: in the caller's unit of work, or in one of its own where nothing else is written.

A payload holds uuids, names of fields and digests; never a personal value in clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import orjson
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.chain import digest
from app.audit.models import AuditEvent, Channel, Severity
from app.db import Database
from app.logs import request_id
from app.user.models import User

# Days a payload is kept: product contract, section 9.
RETENTION = {
    Severity.LOW: timedelta(days=365),
    Severity.MEDIUM: timedelta(days=2190),
    Severity.HIGH: timedelta(days=3650),
    Severity.CRITICAL: timedelta(days=7300),
}


@dataclass(frozen=True, kw_only=True)
class Audit:
    """One event. `type` is `noun.verb`, `resource` is `noun/uuid`; `actor` is a user's uuid."""

    type: str
    resource: str
    actor: UUID | None
    severity: Severity = Severity.LOW
    channel: Channel = Channel.API
    success: bool = True
    payload: Mapping[str, object] | None = None


async def record(session: AsyncSession, *events: Audit) -> None:
    """Write them with whatever else `session` commits. Raises what the database raises."""
    now = datetime.now(UTC)
    for event in events:
        # As stored: what is read back must give the same digest.
        payload = None if event.payload is None else orjson.loads(orjson.dumps(event.payload, default=str))
        actor = select(User.id).where(User.uuid == event.actor).scalar_subquery() if event.actor else None
        await session.execute(
            insert(AuditEvent).values(
                uuid=uuid4(),
                at=now,
                type=event.type,
                severity=event.severity.value,
                actor_id=actor,
                channel=event.channel.value,
                resource=event.resource,
                success=event.success,
                request_id=request_id(),
                payload=payload,
                payload_sha256=digest(payload),
                retention_until=now + RETENTION[event.severity],
            )
        )


async def note(database: Database, *events: Audit) -> None:
    """Write them in a unit of work of their own: refusals, reads. Raises Unavailable."""
    async with database.transaction() as session:
        await record(session, *events)
