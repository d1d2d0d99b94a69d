"""The account that a smoke run makes for itself, and how little of it stays behind.

The row of a person who logged in can never be deleted: the audit trail names them, and nothing in it changes.
So the account ends as any other does, deleted and shown nowhere, and beyond that its key, its sessions with
their tokens and its password's hash are removed.
"""

from __future__ import annotations

import asyncio
import secrets
from uuid import UUID

from sqlalchemy import text

from app.audit.models import Channel
from app.auth.attempts import hash_slowly
from app.db import Database, Read, run
from app.errors import Problem
from app.user.change import delete_user
from app.user.models import NO_PASSWORD, Level
from app.user.repository import UserRepository
from app.user.service import NewUser, create_user
from app.user.vault import Vault

# RFC 6761: such a name is never resolved. And no person has it, as the API refuses it in an e-mail.
DOMAIN = "smoke.invalid"
LEFT_OVER = "1 hour"  # chosen: a run takes minutes at most, so whoever made it is gone

# One's own, and those of runs that were killed.
_ENDED = Read(
    text(f"""
        SELECT uuid, email = CAST(:email AS citext) AS is_own FROM users WHERE deleted_at IS NULL AND (
            email = CAST(:email AS citext)
            OR email LIKE 'smoke.%@{DOMAIN}' AND created_at < now() - interval '{LEFT_OVER}'
        )
    """)  # noqa: S608 - our own words
)
# A session takes its refresh tokens with it.
_FORGET = Read(
    text(f"""
        WITH person AS (
            UPDATE users SET password_hash = '{NO_PASSWORD}' WHERE uuid = CAST(:user AS uuid) RETURNING id
        ), keys AS (
            DELETE FROM subject_keys WHERE user_id = (SELECT id FROM person)
        )
        DELETE FROM sessions WHERE user_id = (SELECT id FROM person)
    """)  # noqa: S608 - our own word
)


class SmokeAccount:
    """A person of level 1 with a random e-mail and password, for as long as one run."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._making: asyncio.Task[UUID] | None = None
        self.email = f"smoke.{secrets.token_hex(8)}@{DOMAIN}"
        self.password = secrets.token_urlsafe(24)

    async def make(self) -> UUID:
        """Store the person. Raises Problem, Unavailable and whatever the database refuses the row with."""
        self._making = asyncio.create_task(self._make())
        # Shielded: of an insert that is cancelled half way nobody knows whether it was committed.
        return await asyncio.shield(self._making)

    async def _make(self) -> UUID:
        new = NewUser(
            email=self.email,
            first_name="Prueba",
            last_name="De humo",
            level=Level.OFFICER,
            dni=None,
            phone=None,
            verified=True,
            password_hash=await hash_slowly(self.password),
        )
        async with self._database.transaction() as session:
            user = await create_user(UserRepository(session), self._vault, new, channel=Channel.CLI)
        return user.uuid

    async def remove(self) -> None:
        """Take it out if it was made, and what killed runs left. Raises as `make` does."""
        if self._making is None:
            return
        await asyncio.gather(self._making, return_exceptions=True)
        for row in await self._database.rows(_ENDED, email=self.email):
            try:
                await self._take_out(row["uuid"])
            except Problem:
                if row["is_own"]:
                    raise  # a leftover waits for the next run: somebody may have given it work meanwhile

    async def _take_out(self, uuid: UUID) -> None:
        async with self._database.transaction() as session:
            await delete_user(UserRepository(session), uuid, seen=None, actor=uuid, channel=Channel.CLI)
            await run(session, _FORGET, user=uuid)
