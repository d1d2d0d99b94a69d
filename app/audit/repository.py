"""Queries on audit_events."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import asyncpg
from sqlalchemy import text

from app.audit import chain
from app.db import Database, Read

COUNT_UNSEALED = "SELECT count(*) AS n FROM audit_events WHERE seq IS NULL"
_STATE = Read(
    text(f"SELECT max(seq) AS last, ({COUNT_UNSEALED}) AS unsealed FROM audit_events")  # noqa: S608 - our own text
)
_FIXED = ", ".join(chain.FIXED)
_SEALED = Read(
    text(
        f"SELECT seq, prev_hash, hash, CAST(payload AS text) AS payload, {_FIXED} FROM audit_events"  # noqa: S608 - our own names
        " WHERE seq > CAST(:after AS bigint) AND seq <= CAST(:last AS bigint)"
        " ORDER BY seq LIMIT CAST(:rows AS bigint)"
    )
)
_CONDITIONS = {
    "type": "e.type = CAST(:type AS text)",
    "actor": "e.actor_id = (SELECT id FROM users WHERE uuid = CAST(:actor AS uuid))",
    "resource": "e.resource = CAST(:resource AS text)",
    "since": "e.at >= CAST(:since AS timestamptz)",
    "until": "e.at < CAST(:until AS timestamptz)",
    "success": "e.success = CAST(:success AS boolean)",
    "before": "e.id < CAST(:before AS bigint)",
}


@cache
def _page(given: frozenset[str]) -> Read:
    # One statement for each set of filters: a plan for "this one or null" could use no index.
    conditions = " AND ".join(_CONDITIONS[name] for name in sorted(given)) or "true"
    return Read(
        text(
            "SELECT e.id, e.uuid, e.at, e.type, e.severity, u.uuid AS actor, e.channel,"  # noqa: S608 - our own words
            " e.resource, e.success, e.request_id, CAST(e.payload AS text) AS payload,"
            " e.payload_sha256, e.seq, e.prev_hash, e.hash"
            " FROM audit_events e LEFT JOIN users u ON u.id = e.actor_id"
            f" WHERE {conditions} ORDER BY e.id DESC LIMIT CAST(:rows AS bigint)"
        )
    )


async def page(
    database: Database, filters: Mapping[str, Any], *, before: int | None, rows: int
) -> list[asyncpg.Record]:
    """Up to `rows` events that fit `filters` (keys of `Filters`), the latest first."""
    given = {**filters, **({"before": before} if before is not None else {})}
    return await database.rows(_page(frozenset(given)), **given, rows=rows)


async def state(database: Database) -> tuple[int, int]:
    """The last place of the chain, 0 without any, and how many events have none yet."""
    row = await database.row(_STATE)
    assert row is not None  # noqa: S101 - an aggregate always has a row
    return row["last"] or 0, row["unsealed"]


async def sealed(database: Database, *, after: int, last: int, rows: int) -> list[asyncpg.Record]:
    """Up to `rows` sealed events after the place `after`, up to `last`, in order."""
    return await database.rows(_SEALED, after=after, last=last, rows=rows)
