"""Queries on users and subject_keys. Deleted people are in none of them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import Uuid, bindparam, select, text
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database, Read
from app.task.models import ACTIVE
from app.user.models import Level, SubjectKey, User

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
ADMINISTRATORS_LOCK = 0x6761645F4C33  # any number, the same for ever: whoever makes them fewer holds it


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

    async def lock(
        self, *, uuid: UUID | None = None, email: str | None = None, for_deletion: bool = False
    ) -> tuple[User, bytes | None] | None:
        """The live person with this uuid or e-mail, locked, and their wrapped key (None once destroyed).

        `for_deletion`: rows that refer to the person wait too. Otherwise they do not, or people who change
        each other would wait for each other's audit events.
        """
        is_meant = User.email == email if uuid is None else User.uuid == uuid
        found = await self.session.execute(
            select(User, SubjectKey.wrapped_dek)
            .outerjoin(SubjectKey, SubjectKey.user_id == User.id)
            .where(is_meant, User.deleted_at.is_(None))
            .with_for_update(of=User, key_share=not for_deletion)
        )
        row = found.one_or_none()
        return None if row is None else (row[0], row[1])

    async def wrapped_dek(self, uuid: UUID) -> bytes | None:
        """A live person's wrapped key; None once it is destroyed."""
        key: bytes | None = await self.session.scalar(
            select(SubjectKey.wrapped_dek)
            .join(User, User.id == SubjectKey.user_id)
            .where(User.uuid == uuid, User.deleted_at.is_(None))
        )
        return key

    async def hold_administrators(self) -> None:
        """Nobody else makes them fewer until the commit. Before any row is locked: all wait in one order."""
        await self.session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADMINISTRATORS_LOCK})

    async def has_other_administrator(self, id_: int) -> bool:
        """Whether somebody else of level 3 can log in; asked while `hold_administrators` holds."""
        others = select(User.id).where(
            User.level == int(Level.ADMINISTRATOR),
            User.id != id_,
            User.verified,
            User.deleted_at.is_(None),
            User.erased_at.is_(None),
        )
        return await self.session.scalar(others.limit(1)) is not None

    async def is_delegate(self, id_: int) -> bool:
        """Whether the person answers for an active task."""
        found = await self.session.scalar(
            text(
                "SELECT EXISTS (SELECT FROM tasks WHERE delegate_id = :id AND deleted_at IS NULL"
                " AND status = ANY (:active))"
            ),
            {"id": id_, "active": [each.value for each in ACTIVE]},
        )
        return bool(found)

    async def officer_of(self, uuid: UUID) -> UUID | None:
        """The live officer entry of a person."""
        officer: UUID | None = await self.session.scalar(
            text(
                "SELECT o.uuid FROM officers o JOIN users u ON u.id = o.user_id"
                " WHERE u.uuid = :user AND o.deleted_at IS NULL"
            ),
            {"user": uuid},
        )
        return officer


async def find(database: Database, uuid: UUID) -> asyncpg.Record | None:
    """One live person with their sealed fields and wrapped key."""
    return await database.row(_BY_UUID, uuid=uuid)


async def credentials(database: Database, email: str) -> asyncpg.Record | None:
    """uuid, level, verified and password_hash of the live account with this e-mail, in any case."""
    return await database.row(_CREDENTIALS, email=email)
