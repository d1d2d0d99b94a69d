"""What tests of duty share: records that were left, and states that other parts bring about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from bodies import Caller
from stores import Stores

OFFICERS = "/api/v1/officers"
CONSENTS = "/api/v1/privacy/consents"
EMERGENCY = "/api/v1/tasks/emergency"


async def audits(stores: Stores, *resources: str) -> list[tuple[str, str | None, bool, Any]]:
    """(type, actor, success, payload) of what was audited of them, in order; not that a person was made."""
    return await stores.fetch(
        "SELECT e.type, CAST(u.uuid AS text), e.success, e.payload FROM audit_events e"
        " LEFT JOIN users u ON u.id = e.actor_id"
        " WHERE e.resource = ANY ($1) AND e.type <> 'user.create' ORDER BY e.id",
        resources,
    )


async def events(stores: Stores, topic: str) -> list[tuple[str, list[str], dict[str, Any]]]:
    """(type, topics, data) of what was emitted on a topic, in order."""
    rows = await stores.fetch(
        "SELECT topics, envelope FROM event_outbox WHERE $1 = ANY (topics) ORDER BY id", topic
    )
    return [(envelope["type"], topics, envelope["data"]) for topics, envelope in rows]


async def restrict(stores: Stores, user: str) -> None:
    """As a decision on a privacy request does."""
    await stores.fetch("UPDATE users SET restricted_at = now() WHERE uuid = $1", user)


async def open_assignment(
    stores: Stores, officer: str, *, engaged: bool, starts_in: timedelta = timedelta(), hours: int = 2
) -> int:
    """An officer's place in a task of their own; answers its id."""
    begins = datetime.now(UTC) + starts_in
    rows = await stores.fetch(
        """
        WITH task AS (
            INSERT INTO tasks (code, title, type, status, priority, planned_start, delegate_id, created_by)
            SELECT $2, 'Patrullaje de prueba', 'patrol', 'programmed', 2, $3, user_id, user_id
            FROM officers WHERE uuid = $1 RETURNING id
        )
        INSERT INTO task_assignments (task_id, officer_id, period, engaged)
        SELECT task.id, o.id, tstzrange($3, $4), $5 FROM task, officers o WHERE o.uuid = $1 RETURNING id
        """,
        officer,
        f"DUTY-{uuid4().hex[:12].upper()}",
        begins,
        begins + timedelta(hours=hours),
        engaged,
    )
    return int(rows[0][0])


async def share_position(
    client: httpx.AsyncClient, who: Caller, *, lat: float, lon: float, at: datetime | None = None
) -> httpx.Response:
    """Consent and say where one is, as a person's own device does."""
    consent = {"purpose": "location_sharing", "granted": True}
    assert (await client.post(CONSENTS, json=consent, headers=who.headers)).status_code == 201
    body = {"lat": lat, "lon": lon, "at": (at or datetime.now(UTC)).isoformat()}
    return await client.post(f"{OFFICERS}/{who.officer}/position", json=body, headers=who.headers)
