"""Queries on users and subject_keys. Deleted people are in none of them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import Uuid, bindparam, select
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database, Read
from app.user.models import SubjectKey, User

_PERSON = (
    User.uuid,
    User.email,
    User.first_name,
    User.last_name,
    User.level,
    User.verified,
    User.dni_enc,
    User.phone_enc,
    SubjectKey.wrapped_dek,
    User.created_at,
    User.updated_at,
    User.version,
)
_BY_UUID = Read(
    select(*_PERSON)
    .outerjoin(SubjectKey, SubjectKey.user_id == User.id)
    .where(User.uuid == bindparam("uuid", type_=Uuid), User.deleted_at.is_(None))
)
_CREDENTIALS = Read(
    select(User.uuid, User.level, User.verified, User.password_hash).where(
        User.email == bindparam("email", type_=CITEXT), User.deleted_at.is_(None)
    )
)


@dataclass(frozen=True)
class UserRepository:
    """Writes in one unit of work."""

    session: AsyncSession

    async def add(self, user: User, wrapped_dek: bytes) -> None:
        """Insert the person and their key. Raises IntegrityError on a taken e-mail or document."""
        self.session.add(user)
        await self.session.flush()
        self.session.add(SubjectKey(user_id=user.id, wrapped_dek=wrapped_dek))

    async def live(self, uuid: UUID) -> User | None:
        """A live person."""
        found = await self.session.execute(select(User).where(User.uuid == uuid, User.deleted_at.is_(None)))
        return found.scalar_one_or_none()


async def find(database: Database, uuid: UUID) -> asyncpg.Record | None:
    """One live person with their sealed fields and wrapped key."""
    return await database.row(_BY_UUID, uuid=uuid)


async def credentials(database: Database, email: str) -> asyncpg.Record | None:
    """uuid, level, verified and password_hash of the live account with this e-mail, in any case."""
    return await database.row(_CREDENTIALS, email=email)
