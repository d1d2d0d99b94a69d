"""Logging in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import select

from app import metrics
from app.auth.models import Session
from app.auth.passwords import hash_password, matches
from app.auth.schemas import TokenAnswer
from app.auth.tokens import LIFETIME_S, Tokens
from app.db import Database
from app.errors import Code, Problem
from app.user import repository
from app.user.models import Level, User

LASTS = timedelta(days=30)  # product contract, section 5

# Hashing takes 64 MiB and a core for ~50 ms: more at once would starve the slot's other requests.
_HASHING = asyncio.Semaphore(2)
_DECOY: list[str] = []


async def log_in(database: Database, tokens: Tokens, *, email: str, password: str) -> TokenAnswer:
    """A token for the account. Raises Problem (credentials_refused) whatever the cause; Unavailable."""
    row = await repository.credentials(database, email)
    stored = row["password_hash"] if row is not None else ""
    async with _HASHING:
        proven = await asyncio.to_thread(_proves, password, stored)
    if row is None or not proven or not row["verified"]:
        metrics.auth_failures.labels("credentials").inc()
        raise Problem(Code.CREDENTIALS_REFUSED)
    opened = uuid4()
    async with database.transaction() as session:
        owner = select(User.id).where(User.uuid == row["uuid"]).scalar_subquery()
        session.add(Session(uuid=opened, user_id=owner, expires_at=datetime.now(UTC) + LASTS))
    token = tokens.issue(row["uuid"], Level(row["level"]), session=opened)
    return TokenAnswer(access_token=token, expires_in=LIFETIME_S)


def _proves(password: str, stored: str) -> bool:
    """An account that does not exist, or has no password, takes as long as a wrong password."""
    if stored.startswith("$"):
        return matches(password, stored)
    if not _DECOY:
        _DECOY.append(hash_password("no account has this"))
    matches(password, _DECOY[0])
    return False
