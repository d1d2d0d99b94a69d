"""Seals audit events: each committed one gets its place in the chain, within two seconds.

Ids are given before a commit and so may become visible out of order; the place in the chain (`seq`) is the
order in which the sealer saw them.
"""

from __future__ import annotations

import logging

import asyncpg

from app.audit import chain

BATCH = 500  # chosen: about 10 ms of hashing, then other work of the process has its turn
EVERY_S = 1.0  # half of the product contract's 2 s (section 10)
ANCHORED = 100  # chosen: often enough that a head outside of the database is never far
ADVISORY_LOCK = 0x6761645F7365  # any number, the same for ever: two sealers at once would fork the chain

_HEAD = "SELECT seq, hash FROM audit_events WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1"
_FIXED = ", ".join(chain.FIXED)
_UNSEALED = f"SELECT {_FIXED} FROM audit_events WHERE seq IS NULL ORDER BY id LIMIT $1"  # noqa: S608 - our own names
_SEAL = """
    UPDATE audit_events AS e SET seq = s.seq, prev_hash = s.prev_hash, hash = s.hash
    FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[]) AS s (id, seq, prev_hash, hash)
    WHERE e.id = s.id
"""

log = logging.getLogger("gad.audit")


async def seal(connection: asyncpg.Connection[asyncpg.Record], *, batch: int = BATCH) -> None:
    """Put every committed and unsealed event at the end of the chain. Raises what the driver raises."""
    while await _seal_batch(connection, batch) == batch:
        pass


async def _seal_batch(connection: asyncpg.Connection[asyncpg.Record], batch: int) -> int:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
        rows = await connection.fetch(_UNSEALED, batch)
        if not rows:
            return 0
        head = await connection.fetchrow(_HEAD)
        last, prev_hash = (head["seq"], head["hash"]) if head is not None else (0, chain.GENESIS)
        seals = []
        for seq, row in enumerate(rows, last + 1):
            sealed = chain.seal(prev_hash, seq, row)
            seals.append((row["id"], seq, prev_hash, sealed))
            prev_hash = sealed
        await connection.execute(_SEAL, *map(list, zip(*seals, strict=True)))
    if last // ANCHORED != seq // ANCHORED:
        # Kept by whoever keeps the logs: the one trace of the chain that the database's owner cannot change.
        log.info("audit head", extra={"fields": {"seq": seq, "hash": prev_hash.hex()}})
    return len(rows)
