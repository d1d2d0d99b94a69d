"""Queries on sessions, their refresh tokens, and failed logins."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import LoginFailures, RefreshToken, Session
from app.auth.tokens import Principal
from app.db import Database, Read
from app.user.models import User

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
# One question for known and unknown e-mails, so that both take as long.
_ATTEMPT = Read(
    text(
        """
        SELECT u.password_hash,
            CASE WHEN u.id IS NULL THEN f.locked_until ELSE u.locked_until END AS locked_until
        FROM (SELECT CAST(:email AS citext) AS email, CAST(:digest AS bytea) AS digest) given
        LEFT JOIN users u ON u.email = given.email AND u.deleted_at IS NULL
        LEFT JOIN login_failures f ON f.email_hmac = given.digest
        """
    )
)
_OWN_ATTEMPT = Read(
    text(
        """
        SELECT password_hash, locked_until, email, first_name, last_name FROM users
        WHERE uuid = CAST(:user AS uuid) AND deleted_at IS NULL
        """
    )
)


class Link(NamedTuple):
    """A refresh token, its session and its person; the first two are locked."""

    token: RefreshToken
    session: Session
    user: User


async def runs(database: Database, principal: Principal) -> bool:
    """Whether the session behind a token still runs. Raises Unavailable."""
    found = await database.row(
        _RUNS, session=principal.session, user=principal.user, level=int(principal.level)
    )
    return found is not None


async def attempt(database: Database, email: str, digest: bytes) -> asyncpg.Record:
    """password_hash (null: nobody has this e-mail) and locked_until of a login. Raises Unavailable."""
    [row] = await database.rows(_ATTEMPT, email=email, digest=digest)
    return row


async def own_attempt(database: Database, user: UUID) -> asyncpg.Record | None:
    """The same, with e-mail and names, of a person who is logged in. Raises Unavailable."""
    return await database.row(_OWN_ATTEMPT, user=user)


async def lock_unknown(session: AsyncSession, digest: bytes) -> LoginFailures:
    """What was counted for an e-mail that nobody has, locked; it begins at 0."""
    await session.execute(insert(LoginFailures).values(email_hmac=digest).on_conflict_do_nothing())
    found = await session.execute(
        select(LoginFailures).where(LoginFailures.email_hmac == digest).with_for_update()
    )
    return found.scalar_one()


async def lock_link(session: AsyncSession, sha256: bytes) -> Link | None:
    """The refresh token with this digest; whoever uses the same one waits here."""
    found = await session.execute(
        select(RefreshToken, Session, User)
        .join(Session, Session.id == RefreshToken.session_id)
        .join(User, User.id == Session.user_id)
        .where(RefreshToken.sha256 == sha256)
        .with_for_update(of=(RefreshToken, Session))
    )
    row = found.one_or_none()
    return None if row is None else Link(row[0], row[1], row[2])


async def revoke(session: AsyncSession, uuid: UUID, now: datetime) -> None:
    """End one session."""
    await session.execute(
        update(Session)
        .where(Session.uuid == uuid, Session.revoked_at.is_(None))
        .values(revoked_at=now, version=Session.version + 1)
    )


async def revoke_all(session: AsyncSession, user_id: int, now: datetime) -> None:
    """End every session of a person."""
    await session.execute(
        update(Session)
        .where(Session.user_id == user_id, Session.revoked_at.is_(None))
        .values(revoked_at=now, version=Session.version + 1)
    )


async def reauthenticate(session: AsyncSession, uuid: UUID, now: datetime) -> None:
    """Note on the session that its person has just given their password again."""
    await session.execute(
        update(Session).where(Session.uuid == uuid).values(reauth_at=now, version=Session.version + 1)
    )
