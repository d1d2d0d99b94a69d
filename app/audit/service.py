"""Reading the audit trail, and asking whether it is as it was written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from app import page
from app.audit import export, repository
from app.audit.chain import Chain
from app.audit.models import Severity
from app.audit.recorder import Audit, note
from app.audit.schemas import Filters
from app.db import Database

CHUNK = 500  # chosen: about 10 ms of hashing or writing in a thread, and some 500 kB of memory


async def list_events(
    database: Database, filters: Filters, *, cursor: str | None, limit: int
) -> dict[str, object]:
    """A page of events, the latest first. Raises Invalid for a cursor that we never gave."""
    before = page.decode(cursor, _place)[0] if cursor is not None else None
    rows = await repository.page(database, filters.given(), before=before, rows=limit + 1)
    return page.page(rows, limit, item=_as_answer, key=lambda row: (row["id"],))


def _place(text: str) -> int:
    number = int(text)
    if not 0 < number < 2**63:
        raise ValueError(text)
    return number


def _as_answer(row: asyncpg.Record) -> dict[str, object]:
    payload, sealed = row["payload"], row["hash"]
    return {
        "uuid": row["uuid"],
        "at": row["at"],
        "type": row["type"],
        "severity": row["severity"],
        "actor": row["actor"],
        "channel": row["channel"],
        "resource": row["resource"],
        "success": row["success"],
        "request_id": row["request_id"],
        "payload": orjson.loads(payload) if payload is not None else None,
        "seq": row["seq"],
        "hash": sealed.hex() if sealed is not None else None,
    }


async def note_export(database: Database, filters: Filters, actor: UUID) -> None:
    """Say in the trail who took it out, and which part of it."""
    event = Audit(
        type="audit.export",
        resource="audit/events",
        actor=actor,
        severity=Severity.HIGH,
        payload={"filters": filters.given()},
    )
    await note(database, event)


async def export_events(database: Database, filters: Filters) -> AsyncIterator[bytes]:
    """The events as CSV, the latest first, `CHUNK` at a time: memory does not grow with their number."""
    before: int | None = None
    start = export.header()
    while True:
        rows = await repository.page(database, filters.given(), before=before, rows=CHUNK)
        yield start + await asyncio.to_thread(export.lines, rows)
        if len(rows) < CHUNK:
            return
        start, before = b"", rows[-1]["id"]


class Verifier:
    """Verifies the chain; callers that arrive together share one run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: asyncio.Task[dict[str, Any]] | None = None

    async def verify(self) -> dict[str, Any]:
        """As `Verification` shows it. Raises Unavailable."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(verify(self._database))
        return await asyncio.shield(self._running)


async def verify(database: Database, *, anchor: tuple[int, bytes] | None = None) -> dict[str, Any]:
    """Follow the chain from the first row to the last there is now, `CHUNK` rows at a time.

    `anchor`: a (seq, hash) noted elsewhere that must still be in it. Raises Unavailable.
    """
    last, unsealed = await repository.state(database)
    followed, after, holds = Chain(anchor), 0, True
    while holds and after < last:
        rows = await repository.sealed(database, after=after, last=last, rows=CHUNK)
        if not rows:
            break
        after = rows[-1]["seq"]
        holds = await asyncio.to_thread(followed.follow, rows)
    ok = followed.end()
    bad = followed.first_bad
    return {
        "ok": ok,
        "checked": followed.checked,
        "unsealed": unsealed,
        "without_payload": followed.without_payload,
        "head": {"seq": followed.checked, "hash": followed.head.hex()},
        "first_bad": None if bad is None else {"seq": bad.seq, "uuid": bad.uuid, "wrong": bad.wrong.value},
    }
