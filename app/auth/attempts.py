"""Passwords that were tried: whether they are right, and what a wrong one costs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import flag_modified

from app import metrics
from app.audit.models import Severity
from app.audit.recorder import Audit, record
from app.auth import lockout
from app.auth.models import LoginFailures
from app.auth.passwords import hash_password, matches
from app.errors import Code, Problem
from app.user.models import User

# Hashing takes 64 MiB and a core for ~50 ms: more at once would starve the slot's other requests.
_HASHING = asyncio.Semaphore(2)
_DECOY: list[str] = []


async def prove(password: str, stored: str | None) -> bool:
    """Whether the password is right. An account that does not exist, or has no password, takes as long."""
    async with _HASHING:
        return await asyncio.to_thread(_proves, password, stored or "")


async def hash_slowly(password: str) -> str:
    """The password's hash, made beside the loop and not by all at once."""
    async with _HASHING:
        return await asyncio.to_thread(hash_password, password)


def _proves(password: str, stored: str) -> bool:
    if stored.startswith("$"):
        return matches(password, stored)
    if not _DECOY:
        _DECOY.append(hash_password("no account has this"))
    matches(password, _DECOY[0])
    return False


def forgive(user: User) -> None:
    """Their password was right: what was counted before is void."""
    if user.failed_attempts or user.locked_until is not None:
        _set(user, 0, None)


async def count(
    session: AsyncSession,
    counted: User | LoginFailures,
    kind: str,
    payload: dict[str, str],
    now: datetime,
) -> Problem:
    """Count one failure, unless the account was closed meanwhile: then nobody learns whether it was one."""
    user = counted.uuid if isinstance(counted, User) else None
    until = counted.locked_until
    if until is not None and lockout.is_locked(until, now):
        record(session, failed(kind, user, {**payload, "reason": "locked"}))
        return locked(until)
    _set(counted, *lockout.after_failure(counted.failed_attempts, until, now))
    record(session, failed(kind, user, payload))
    if counted.locked_until is not None:
        closed = Audit(
            type="auth.locked",
            resource=_resource(user),
            actor=None,
            severity=Severity.HIGH,
            success=False,
            payload=payload,
        )
        record(session, closed)
    metrics.auth_failures.labels("credentials").inc()
    return Problem(Code.CREDENTIALS_REFUSED if kind == "auth.login" else Code.PASSWORD_REFUSED)


def _set(counted: User | LoginFailures, failed_attempts: int, until: datetime | None) -> None:
    counted.failed_attempts, counted.locked_until = failed_attempts, until
    if isinstance(counted, User):
        flag_modified(counted, "updated_at")  # stays: nothing that anybody reads has changed


def _resource(user: UUID | None) -> str:
    return "user/unknown" if user is None else f"user/{user}"


def failed(kind: str, user: UUID | None, payload: dict[str, str]) -> Audit:
    """The event of a refused attempt."""
    return Audit(
        type=kind,
        resource=_resource(user),
        actor=None,
        severity=Severity.MEDIUM,
        success=False,
        payload=payload,
    )


def locked(until: datetime) -> Problem:
    """What everybody gets who tries meanwhile."""
    metrics.auth_failures.labels("locked").inc()
    return Problem(Code.LOGIN_LOCKED, headers={"Retry-After": lockout.retry_after(until, datetime.now(UTC))})
