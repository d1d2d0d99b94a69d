"""An altered audit row is found and named (product contract, section 17: 31)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from bodies import HOST, new_caller
from conftest import settings_for
from stores import Stores

from app.audit import chain, service
from app.audit.recorder import Audit, note
from app.audit.sealer import seal
from app.main import Process, build
from app.settings import Settings

VERIFY = "/api/v1/audit/verify"
EVENTS = 12
TAMPERED = 6


def row(**changes: object) -> dict[str, Any]:
    """A row as the driver reads it, not yet sealed."""
    return {
        "id": 7,
        "uuid": UUID(int=7),
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "type": "task.create",
        "severity": "low",
        "actor_id": 3,
        "channel": "api",
        "resource": "task/x",
        "success": True,
        "request_id": "r",
        "payload": '{"fields": ["title"]}',
        "payload_sha256": chain.digest({"fields": ["title"]}),
        "retention_until": datetime(2027, 1, 1, tzinfo=UTC),
        **changes,
    }


def sealed(count: int) -> list[dict[str, Any]]:
    rows, prev_hash = [], chain.GENESIS
    for seq in range(1, count + 1):
        each = row(id=seq, uuid=UUID(int=seq))
        each |= {"seq": seq, "prev_hash": prev_hash, "hash": chain.seal(prev_hash, seq, each)}
        prev_hash = each["hash"]
        rows.append(each)
    return rows


def test_a_seal_is_what_the_decision_says() -> None:
    """Computed by hand here, so that the form on disk cannot change unnoticed."""
    parts = [
        b"7",
        str(UUID(int=7)).encode(),
        b"1767225600000000",
        *(b"task.create", b"low", b"3", b"api", b"task/x", b"true", b"r"),
        chain.digest({"fields": ["title"]}),
        b"1798761600000000",
    ]
    whole = b"gad/audit/v1" + bytes(32) + (1).to_bytes(8, "big")
    whole += b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert chain.seal(bytes(32), 1, row()) == sha256(whole).digest()


@pytest.mark.parametrize("column", [*chain.FIXED, "seq", "prev_hash"])
def test_every_fixed_column_is_in_the_seal(column: str) -> None:
    other: dict[str, object] = {
        "at": datetime(2026, 1, 1, microsecond=1, tzinfo=UTC),
        "success": False,
        "payload_sha256": bytes(32),
        "retention_until": datetime(2027, 1, 2, tzinfo=UTC),
        "actor_id": None,
    }
    before = chain.seal(bytes(32), 1, row())
    prev_hash = b"\1" * 32 if column == "prev_hash" else bytes(32)
    changed = {column: other.get(column, "x")} if column in chain.FIXED else {}
    assert chain.seal(prev_hash, 2 if column == "seq" else 1, row(**changed)) != before


def test_nothing_moves_from_one_column_to_the_next() -> None:
    one, two = row(channel="ap", resource="itask/x"), row(channel="api", resource="task/x")
    assert chain.seal(bytes(32), 1, one) != chain.seal(bytes(32), 1, two)
    assert chain.seal(bytes(32), 1, row(actor_id=None)) != chain.seal(bytes(32), 1, row(actor_id=""))


@pytest.mark.parametrize("portion", [1, 3, 10])
def test_portions_of_any_size_give_the_same_verdict(portion: int) -> None:
    rows = sealed(10)
    followed = chain.Chain()
    assert all(followed.follow(rows[at : at + portion]) for at in range(0, 10, portion))
    assert (followed.end(), followed.checked, followed.head) == (True, 10, rows[-1]["hash"])


def test_a_cut_end_is_seen_by_whoever_noted_the_head() -> None:
    rows = sealed(10)
    for anchor, bad in (
        ((10, rows[-1]["hash"]), None),
        ((3, rows[2]["hash"]), None),
        ((11, rows[-1]["hash"]), (11, chain.Wrong.GAP)),
        ((3, rows[3]["hash"]), (3, chain.Wrong.HEAD)),
    ):
        followed = chain.Chain(anchor)
        followed.follow(rows)
        assert followed.end() is (bad is None)
        found = followed.first_bad
        assert (None if found is None else (found.seq, found.wrong)) == bad


@dataclass
class Trail:
    """An API over a database of its own, with a few sealed events."""

    process: Process
    dsn: str
    headers: dict[str, str]
    uuids: dict[int, str]

    async def verify(self) -> dict[str, Any]:
        transport = httpx.ASGITransport(app=self.process.public)
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
            answer = await client.get(VERIFY, headers=self.headers)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def tamper(self, *statements: str) -> None:
        """As somebody who owns the server, around the trigger."""
        connection = await asyncpg.connect(self.dsn)
        try:
            for statement in ("ALTER TABLE audit_events DISABLE TRIGGER ALL", *statements):
                await connection.execute(statement)
        finally:
            await connection.close()


def settings_on(stores: Stores, name: str) -> Settings:
    return settings_for(stores, database_url=stores.dsn(database=name))


@pytest.fixture(scope="module")
async def written(stores: Stores, new_database: Callable[[str], str]) -> AsyncIterator[Trail]:
    name = await asyncio.to_thread(new_database, "gad_head")
    process = build(settings_on(stores, name))
    admin = await new_caller(process, 3)
    for number in range(EVENTS):
        actor = None if number == 0 else UUID(admin.user)
        event = Audit(type="task.create", resource=f"task/{number}", actor=actor, payload={"n": number})
        await note(process.database, event)
    connection = await asyncpg.connect(stores.dsn("postgres", name))
    await seal(connection)
    uuids = {each["seq"]: str(each["uuid"]) for each in await connection.fetch("SELECT * FROM audit_events")}
    await connection.execute("CREATE TABLE kept AS SELECT * FROM audit_events")
    await connection.close()
    yield Trail(process, stores.dsn("postgres", name), admin.headers, uuids)
    await process.close()


@pytest.fixture
async def trail(written: Trail) -> AsyncIterator[Trail]:
    """As it was written, whatever the test before did to it."""
    yield written
    await written.tamper("DELETE FROM audit_events", "INSERT INTO audit_events SELECT * FROM kept")


async def test_an_untouched_trail_verifies(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "CHUNK", 5)
    answer = await trail.verify()
    assert (answer["ok"], answer["first_bad"]) == (True, None)
    assert (answer["checked"], answer["unsealed"], answer["without_payload"]) == (len(trail.uuids), 0, 0)
    assert answer["head"]["seq"] == len(trail.uuids) >= EVENTS


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ("type = 'task.delete'", "hash"),
        ("actor_id = NULL", "hash"),
        ("at = at + interval '1 microsecond'", "hash"),
        ("severity = 'high'", "hash"),
        ("channel = 'bot'", "hash"),
        ("resource = 'task/0'", "hash"),
        ("success = false", "hash"),
        ("request_id = 'x'", "hash"),
        ("uuid = gen_random_uuid()", "hash"),
        ("retention_until = now()", "hash"),
        ("hash = sha256('x')", "hash"),
        ("prev_hash = sha256('x')", "prev_hash"),
        ("payload = '{\"n\": 0}'", "payload"),
        ("payload = (repeat('[', 900) || repeat(']', 900))::jsonb", "payload"),
        ("payload = (repeat('[', 2000) || repeat(']', 2000))::jsonb", "payload"),
        ("payload_sha256 = sha256('x')", "payload"),
        ("seq = 1000", "gap"),
        ("seq = NULL, hash = NULL, prev_hash = NULL", "gap"),
    ],
)
async def test_an_altered_column_is_named(trail: Trail, change: str, wrong: str) -> None:
    await trail.tamper(f"UPDATE audit_events SET {change} WHERE seq = {TAMPERED}")  # noqa: S608
    answer = await trail.verify()
    connection = await asyncpg.connect(trail.dsn)
    now = await connection.fetchval("SELECT uuid FROM audit_events WHERE seq = $1", TAMPERED)
    await connection.close()
    assert (answer["ok"], answer["checked"]) == (False, TAMPERED - 1)
    assert answer["first_bad"] == {
        "seq": TAMPERED,
        "uuid": None if now is None else str(now),
        "wrong": wrong,
    }


@pytest.mark.parametrize("place", [1, TAMPERED])
async def test_a_deleted_row_is_missed(trail: Trail, place: int) -> None:
    await trail.tamper(f"DELETE FROM audit_events WHERE seq = {place}")  # noqa: S608
    answer = await trail.verify()
    assert answer["first_bad"] == {"seq": place, "uuid": None, "wrong": "gap"}


async def test_a_row_rewritten_with_its_hash_breaks_the_next(trail: Trail) -> None:
    connection = await asyncpg.connect(trail.dsn)
    old = await connection.fetchrow("SELECT * FROM audit_events WHERE seq = $1", TAMPERED)
    assert old is not None
    forged = chain.seal(old["prev_hash"], TAMPERED, {**old, "type": "forged"})
    await connection.close()
    await trail.tamper(
        f"UPDATE audit_events SET type = 'forged', hash = '\\x{forged.hex()}' WHERE seq = {TAMPERED}"  # noqa: S608
    )
    answer = await trail.verify()
    assert answer["first_bad"] == {
        "seq": TAMPERED + 1,
        "uuid": trail.uuids[TAMPERED + 1],
        "wrong": "prev_hash",
    }


async def test_a_payload_that_expired_is_counted_and_no_fault(trail: Trail) -> None:
    await trail.tamper(f"UPDATE audit_events SET payload = NULL WHERE seq = {TAMPERED}")  # noqa: S608
    answer = await trail.verify()
    assert (answer["ok"], answer["without_payload"]) == (True, 1)


async def test_callers_together_share_one_run(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = 0
    original = service.verify

    async def counted(*args: Any, **named: Any) -> dict[str, Any]:
        nonlocal runs
        runs += 1
        return await original(*args, **named)

    monkeypatch.setattr(service, "verify", counted)
    answers = await asyncio.gather(*(trail.verify() for _ in range(5)))
    assert [answer["ok"] for answer in answers] == [True] * 5
    assert runs == 1
