"""Writes audit events: in the caller's unit of work, or in one of its own where nothing else is written.

A payload holds uuids, names of fields and digests; never a personal value in clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.chain import canonical, digest
from app.audit.models import Channel, Severity
from app.db import Database, Read, rows_at_end
from app.logs import request_id

# Days a payload is kept: product contract, section 9.
RETENTION = {
    Severity.LOW: timedelta(days=365),
    Severity.MEDIUM: timedelta(days=2190),
    Severity.HIGH: timedelta(days=3650),
    Severity.CRITICAL: timedelta(days=7300),
}

# All of them in one statement, in their order: each comes as a JSON object.
_INSERT = Read(
    text("""
        INSERT INTO audit_events (uuid, at, type, severity, actor_id, channel, resource, success, request_id,
            payload, payload_sha256, retention_until)
        SELECT e.uuid, e.at, e.type, e.severity, (SELECT id FROM users WHERE uuid = e.actor), e.channel,
            e.resource, e.success, e.request_id, nullif(e.payload, 'null'),
            decode(e.payload_sha256, 'hex'), e.retention_until
        FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS (uuid uuid, at timestamptz, type text,
            severity text, actor uuid, channel text, resource text, success boolean, request_id text,
            payload jsonb, payload_sha256 text, retention_until timestamptz)) WITH ORDINALITY AS e
        ORDER BY e.ordinality
    """)
)


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


def record(session: AsyncSession, *events: Audit) -> None:
    """Write them with whatever else `session` commits. Raises what the database raises."""
    if not events:
        return
    now = datetime.now(UTC)
    rows = [
        {
            "uuid": uuid4(),
            "at": now,
            "type": event.type,
            "severity": event.severity.value,
            "actor": event.actor,
            "channel": event.channel.value,
            "resource": event.resource,
            "success": event.success,
            "request_id": request_id(),
            "payload": orjson.Fragment(canonical(event.payload)),  # as it is digested
            "payload_sha256": digest(event.payload).hex(),
            "retention_until": now + RETENTION[event.severity],
        }
        for event in events
    ]
    rows_at_end(session, _INSERT, rows)


async def note(database: Database, *events: Audit) -> None:
    """Write them in a unit of work of their own: refusals, reads. Raises Unavailable."""
    async with database.transaction() as session:
        record(session, *events)
