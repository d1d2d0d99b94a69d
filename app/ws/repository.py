"""Reads about people on sockets: whose session runs, and what is their own."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database, Read
from app.user.models import Level, User

# As app/auth/repository.py asks for one request, for many sessions at once.
_RUNNING = Read(
    text(
        """
        SELECT s.uuid AS session, u.level
        FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE s.uuid = ANY(CAST(:sessions AS uuid[])) AND s.revoked_at IS NULL AND s.expires_at > now()
            AND u.verified AND u.deleted_at IS NULL AND u.erased_at IS NULL
        """
    )
)
# Own: delegate or open assignment (product contract, section 3).
_TASK_OWNERS = Read(
    text(
        """
        SELECT t.uuid AS thing, u.uuid AS owner
        FROM tasks t JOIN users u ON u.id = t.delegate_id
        WHERE t.uuid = ANY(CAST(:things AS uuid[])) AND t.deleted_at IS NULL
            AND u.uuid = ANY(CAST(:users AS uuid[]))
        UNION
        SELECT t.uuid, u.uuid
        FROM tasks t
        JOIN task_assignments a ON a.task_id = t.id AND a.released_at IS NULL
        JOIN officers o ON o.id = a.officer_id AND o.deleted_at IS NULL
        JOIN users u ON u.id = o.user_id
        WHERE t.uuid = ANY(CAST(:things AS uuid[])) AND t.deleted_at IS NULL
            AND u.uuid = ANY(CAST(:users AS uuid[]))
        """
    )
)
_OFFICER_OWNERS = Read(
    text(
        """
        SELECT o.uuid AS thing, u.uuid AS owner FROM officers o JOIN users u ON u.id = o.user_id
        WHERE o.uuid = ANY(CAST(:things AS uuid[])) AND o.deleted_at IS NULL
            AND u.uuid = ANY(CAST(:users AS uuid[]))
        """
    )
)
_OUTBOX = Read(
    text(
        """
        SELECT count(*) AS pending, extract(epoch FROM clock_timestamp() - min(created_at)) AS oldest_s
        FROM event_outbox WHERE published_at IS NULL
        """
    )
)
_THERE = (User.deleted_at.is_(None), User.erased_at.is_(None))
_OWNERS = {"task": _TASK_OWNERS, "officer": _OFFICER_OWNERS}


async def running(database: Database, sessions: Collection[UUID]) -> dict[UUID, int]:
    """The level of each session that runs. Raises Unavailable."""
    rows = await database.rows(_RUNNING, sessions=list(sessions))
    return {UUID(str(row["session"])): row["level"] for row in rows}


async def owned(
    database: Database, noun: str, things: Collection[UUID], users: Collection[UUID]
) -> set[tuple[UUID, UUID]]:
    """(thing, user) for each of `things`, tasks or officers, that is a user's own. Raises Unavailable."""
    if not things or not users:
        return set()
    rows = await database.rows(_OWNERS[noun], things=list(things), users=list(users))
    return {(UUID(str(row["thing"])), UUID(str(row["owner"]))) for row in rows}


async def audience(
    session: AsyncSession, *, users: Collection[UUID] | None, level: Level | None
) -> list[UUID]:
    """Those of `users`, or else of a level, who are there."""
    query = select(User.uuid).where(*_THERE).order_by(User.id)
    if users is not None:
        query = query.where(User.uuid.in_(users))
    if level is not None:
        query = query.where(User.level == int(level))
    return list((await session.execute(query)).scalars())


async def everybody(session: AsyncSession) -> int:
    """How many people there are."""
    return (await session.execute(select(func.count()).select_from(User).where(*_THERE))).scalar_one()


async def outbox(database: Database) -> tuple[int, float | None]:
    """How many events wait to be published, and how long the first has waited, in seconds."""
    row = await database.row(_OUTBOX)
    if row is None or row["oldest_s"] is None:
        return 0, None
    return row["pending"], round(float(row["oldest_s"]), 3)
