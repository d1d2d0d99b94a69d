"""Each 403 leaves an audit event; a flood of them leaves one a minute."""

from __future__ import annotations

from uuid import UUID, uuid4

import httpx
import pytest
from bodies import Callers, assert_problem
from sqlalchemy import select

from app.audit import denials
from app.audit.denials import EVERY_S, KEPT, Denials
from app.audit.models import AuditEvent
from app.audit.recorder import Audit
from app.db import Database
from app.errors import Unavailable
from app.main import Process
from app.user.models import User

USERS = "/api/v1/users"
OFFICERS = "/api/v1/officers"


async def denied(process: Process, user: str) -> list[AuditEvent]:
    """What was refused to a person, oldest first."""
    async with process.database.transaction() as session:
        found = await session.scalars(
            select(AuditEvent)
            .join(User, User.id == AuditEvent.actor_id)
            .where(User.uuid == UUID(user), AuditEvent.type == "access.denied")
            .order_by(AuditEvent.id)
        )
        return [*found]


async def test_a_level_that_is_too_low(process: Process, client: httpx.AsyncClient, caller: Callers) -> None:
    known = await caller(1)
    refused = await client.post(USERS, headers=known.headers, json={"first_name": "x"})
    assert_problem(refused, 403, "forbidden")
    (event,) = await denied(process, known.user)
    assert (event.resource, event.severity, event.success) == (f"POST {USERS}", "medium", False)
    assert event.payload == {"code": "forbidden", "left_out": 0}
    assert event.request_id == refused.headers["x-request-id"]


async def test_what_is_somebody_elses(process: Process, client: httpx.AsyncClient, caller: Callers) -> None:
    """Refused by the service, not by the table."""
    known, other = await caller(1, is_officer=True), await caller(1, is_officer=True)
    refused = await client.get(f"{OFFICERS}/{other.officer}", headers=known.headers)
    assert_problem(refused, 403, "forbidden")
    (event,) = await denied(process, known.user)
    assert event.resource == f"GET {OFFICERS}/{{officer_id}}"
    assert event.payload == {"code": "forbidden", "left_out": 0, "officer_id": other.officer}


async def test_a_flood_is_one_event_for_each_route(
    process: Process, client: httpx.AsyncClient, caller: Callers
) -> None:
    known = await caller(1)
    for _ in range(20):
        await client.get(OFFICERS, headers=known.headers)
        await client.get(f"{USERS}/{uuid4()}", headers=known.headers)
    assert len(await denied(process, known.user)) == 2


class Noted:
    """Stands for the table."""

    def __init__(self) -> None:
        self.events: list[Audit] = []
        self.is_up = True

    async def note(self, _database: Database, *events: Audit) -> None:
        if not self.is_up:
            raise Unavailable
        self.events += events


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    made = Noted()
    monkeypatch.setattr(denials, "note", made.note)
    return made


async def test_the_next_minute_says_how_many_were_left_out(noted: Noted, process: Process) -> None:
    now = 0.0
    kept = Denials(process.database, now=lambda: now)
    user = uuid4()
    for _ in range(8):
        await kept.note(user, "GET /x", "forbidden", {})
    now = EVERY_S
    await kept.note(user, "GET /x", "forbidden", {"x": "<script>", "y": str(user)})
    assert [event.payload for event in noted.events] == [
        {"code": "forbidden", "left_out": 0},
        {"code": "forbidden", "left_out": 7, "y": str(user)},
    ]


async def test_without_a_database_the_refusal_stands_and_is_noted_later(
    noted: Noted, process: Process
) -> None:
    kept, user = Denials(process.database), uuid4()
    noted.is_up = False
    await kept.note(user, "GET /x", "forbidden", {})
    noted.is_up = True
    await kept.note(user, "GET /x", "forbidden", {})
    assert len(noted.events) == 1


async def test_a_crowd_does_not_fill_the_memory(noted: Noted, process: Process) -> None:
    kept = Denials(process.database)
    for _ in range(KEPT + 50):
        await kept.note(uuid4(), "GET /x", "forbidden", {})
    assert len(kept._noted) == KEPT
    assert len(noted.events) == KEPT + 50
