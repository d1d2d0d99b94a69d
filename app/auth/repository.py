"""Queries on sessions and their refresh tokens."""

from __future__ import annotations

from sqlalchemy import text

from app.auth.tokens import Principal
from app.db import Database, Read

# A session runs while neither it nor its person has ended; a changed level is another session's.
_RUNS = Read(
    text(
        """
        SELECT 1 FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE s.uuid = CAST(:session AS uuid) AND u.uuid = CAST(:user AS uuid)
            AND u.level = CAST(:level AS smallint) AND s.revoked_at IS NULL AND s.expires_at > now()
            AND u.verified AND u.deleted_at IS NULL AND u.erased_at IS NULL
        """
    )
)


async def runs(database: Database, principal: Principal) -> bool:
    """Whether the session behind a token still runs. Raises Unavailable."""
    found = await database.row(
        _RUNS, session=principal.session, user=principal.user, level=int(principal.level)
    )
    return found is not None
