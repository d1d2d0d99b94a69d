"""Removes what has served its time: sessions, refresh tokens, link codes, failures, kept answers."""

from __future__ import annotations

import asyncpg

EVERY_S = 3600  # chosen: what it removes is days old
BATCH = 1000  # chosen: a few milliseconds, so that the duty never holds many locks at once

# Days and hours: product contract, section 2 (24 h) and section 9 (90 days). Chosen: failures of e-mails that
# nobody has are forgotten after 30 days without one; those of accounts are cleared by a login.
# A used refresh token stays until it expires, so that its second use is seen.
_EXPIRED = (
    ("sessions", "id", "expires_at < now() - interval '90 days'"),
    ("refresh_tokens", "id", "expires_at < now()"),
    ("link_codes", "id", "expires_at < now()"),
    ("login_failures", "email_hmac", "updated_at < now() - interval '30 days'"),
    ("idempotency_keys", "(user_id, route, key)", "created_at < now() - interval '24 hours'"),
)


async def expire(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Remove them in batches; each commits by itself. Raises what the database raises."""
    for table, key, is_expired in _EXPIRED:
        columns = key.strip("()")
        statement = (
            f"DELETE FROM {table} WHERE {key} IN"  # noqa: S608 - our own constants
            f" (SELECT {columns} FROM {table} WHERE {is_expired} LIMIT {BATCH})"
        )
        while await connection.execute(statement) == f"DELETE {BATCH}":
            pass
