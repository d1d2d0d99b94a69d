"""What people agreed to. Answers are only ever added; the latest of a purpose rules."""

from __future__ import annotations

from uuid import UUID

import asyncpg
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.models import Severity
from app.audit.recorder import Audit, record
from app.db import Database, Read
from app.errors import Code, Problem
from app.events import Event, emit
from app.officer.record import topics
from app.officer.repository import OfficerRepository
from app.privacy.models import Consent, Purpose
from app.privacy.schemas import ConsentCreate
from app.user.models import User

_LATEST = Read(
    text(
        "SELECT DISTINCT ON (c.purpose) c.purpose, c.granted, c.notice_version, c.at"
        " FROM consents c JOIN users u ON u.id = c.user_id"
        " WHERE u.uuid = CAST(:user AS uuid) ORDER BY c.purpose, c.at DESC, c.id DESC"
    )
)


async def list_consents(database: Database, user: UUID) -> dict[str, object]:
    """The answer that rules for each purpose; one never given is no."""
    latest = {row["purpose"]: row for row in await database.rows(_LATEST, user=user)}
    return {"items": [_as_answer(purpose, latest.get(purpose.value)) for purpose in Purpose]}


async def grant(session: AsyncSession, user: UUID, body: ConsentCreate) -> dict[str, object]:
    """Add a yes; does not commit. Raises Problem: not_found for a person deleted meanwhile."""
    await _lock(session, user)
    added = await _add(session, user, body.purpose, body.notice_version, granted=True)
    return _as_answer(body.purpose, added)


async def withdraw(session: AsyncSession, user: UUID, purpose: Purpose) -> None:
    """Add a no where the last answer was a yes; does not commit. As easy as agreeing: no version is asked.

    Without `location_sharing` the officer's last position goes in the same unit of work.
    """
    user_key = await _lock(session, user)
    standing = await _standing(session, user_key, purpose)
    if standing is None or not standing.granted:
        return
    if purpose is Purpose.LOCATION_SHARING:
        officer = await OfficerRepository(session).forget_place(user_key)
        if officer is not None:
            data = {"officer": officer, "at": None}
            emit(session, Event(type="officer.location", topics=topics(officer, user), data=data))
    await _add(session, user, purpose, standing.notice_version, granted=False)


async def is_granted(session: AsyncSession, user_key: int, purpose: Purpose) -> bool:
    """Whether the person (users.id) agrees now."""
    standing = await _standing(session, user_key, purpose)
    return standing is not None and standing.granted


async def _lock(session: AsyncSession, user: UUID) -> int:
    """Answers of one person come one after the other, so that the latest is the last."""
    found = select(User.id).where(User.uuid == user, User.deleted_at.is_(None))
    key: int | None = await session.scalar(found.with_for_update(key_share=True))
    if key is None:
        raise Problem(Code.NOT_FOUND)
    return key


async def _standing(session: AsyncSession, user_key: int, purpose: Purpose) -> Consent | None:
    latest: Consent | None = await session.scalar(
        select(Consent)
        .where(Consent.user_id == user_key, Consent.purpose == purpose.value)
        .order_by(Consent.at.desc(), Consent.id.desc())
        .limit(1)
    )
    return latest


async def _add(
    session: AsyncSession, user: UUID, purpose: Purpose, notice_version: str, *, granted: bool
) -> dict[str, object]:
    added = await session.execute(
        insert(Consent)
        .values(
            user_id=select(User.id).where(User.uuid == user).scalar_subquery(),
            purpose=purpose.value,
            notice_version=notice_version,
            granted=granted,
        )
        .returning(Consent.granted, Consent.notice_version, Consent.at)
    )
    record(
        session,
        Audit(
            type="consent.grant" if granted else "consent.withdraw",
            resource=f"user/{user}",
            actor=user,
            severity=Severity.MEDIUM,  # chosen: what was agreed to is proven for as long as it may matter
            payload={"purpose": purpose.value, "notice_version": notice_version},
        ),
    )
    return dict(added.mappings().one())


def _as_answer(purpose: Purpose, row: asyncpg.Record | dict[str, object] | None) -> dict[str, object]:
    return {
        "purpose": purpose.value,
        "granted": row["granted"] if row is not None else False,
        "notice_version": row["notice_version"] if row is not None else None,
        "at": row["at"] if row is not None else None,
    }
