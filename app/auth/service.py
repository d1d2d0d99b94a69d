"""Logging in and out, renewing a session, proving a password again."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app import metrics
from app.audit.models import Severity
from app.audit.recorder import Audit, note, record
from app.auth import attempts, lockout, repository
from app.auth.device import Device
from app.auth.models import RefreshToken, Session
from app.auth.passwords import is_personal
from app.auth.revocation import Revocations
from app.auth.sessions import Revoked
from app.auth.tokens import Principal, Tokens
from app.db import Database
from app.errors import Code, Invalid, Problem
from app.user.models import Level, User
from app.user.repository import UserRepository
from app.user.vault import Vault

REFRESH = timedelta(days=7)  # product contract, section 5
SESSION = timedelta(days=30)  # product contract, section 5
RACED_S = 1  # chosen: by then the tab that won has its cookie
TOKEN_BYTES = 32

Act = Callable[[AsyncSession, User, datetime], Awaitable[None]]


@dataclass(frozen=True)
class Opened:
    """What somebody gets who was let in: an access token, and a refresh token for `lasts_s` seconds."""

    access: str
    refresh: str
    lasts_s: int


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Where people come in and leave."""

    database: Database
    vault: Vault
    tokens: Tokens
    revocations: Revocations

    async def log_in(self, email: str, password: str, device: Device) -> Opened:
        """A session for e-mail and password.

        Raises Problem: credentials_refused, whatever the cause; login_locked after five of them, for e-mails
        that nobody has too. Raises Unavailable.
        """
        digest = self.vault.digest("email", email.casefold())
        payload = {"email": digest.hex(), **device.digests(self.vault)}
        seen = await repository.attempt(self.database, email, digest)
        if lockout.is_locked(seen["locked_until"], datetime.now(UTC)):
            await note(self.database, attempts.failed("auth.login", None, {**payload, "reason": "locked"}))
            raise attempts.locked(seen["locked_until"])
        is_proven = await attempts.prove(password, seen["password_hash"])
        async with self.database.transaction() as session:
            now = datetime.now(UTC)
            found = await UserRepository(session).lock(email=email)
            user, wrapped_dek = found if found is not None else (None, None)
            counted = user or await repository.lock_unknown(session, digest)
            if (
                user is not None
                and is_proven
                and user.password_hash == seen["password_hash"]
                and _may_enter(user)
                and not lockout.is_locked(counted.locked_until, now)
            ):
                attempts.forgive(user)
                opened = await self._open(session, user, wrapped_dek, device, now)
                event = Audit(
                    type="auth.login", resource=f"user/{user.uuid}", actor=user.uuid, payload=payload
                )
                record(session, event)
                return opened
            refusal = await attempts.count(session, counted, "auth.login", payload, now)
        raise refusal

    async def refresh(self, token: str, device: Device) -> Opened:
        """The next pair of tokens of a session. Each refresh token works once; a second use ends the session,
        unless both were on their way at once (two tabs): then one wins, and the other may ask again with the
        winner's cookie.

        Raises Problem: session_ended; refresh_raced. Raises Unavailable.
        """
        arrived = datetime.now(UTC)
        ended: tuple[Revoked, ...] = ()
        async with self.database.transaction() as session:
            link = await repository.lock_link(session, sha256(token.encode()).digest())
            now = datetime.now(UTC)
            refusal = _ended()
            if link is not None and link.token.used_at is not None:
                if link.token.used_at >= arrived:
                    refusal = Problem(Code.REFRESH_RACED, headers={"Retry-After": str(RACED_S)})
                elif link.session.revoked_at is None:
                    await repository.revoke(session, link.session.uuid, now)
                    record(session, self._reused(link, device))
                    ended = (Revoked(session=link.session.uuid),)
            elif link is not None and _may_continue(link, now):
                link.token.used_at = now
                event = Audit(
                    type="auth.refresh",
                    resource=f"session/{link.session.uuid}",
                    actor=link.user.uuid,
                    payload=device.digests(self.vault),
                )
                record(session, event)
                return self._next(session, link.user, link.session, now)
        await self.revocations.announce(*ended)
        metrics.auth_failures.labels("refresh").inc()
        raise refusal

    async def log_out(self, principal: Principal, *, everywhere: bool = False) -> None:
        """End the caller's session, or all of theirs. Raises Unavailable."""
        async with self.database.transaction() as session:
            now = datetime.now(UTC)
            found = await UserRepository(session).lock(uuid=principal.user) if everywhere else None
            if found is not None:
                await repository.revoke_all(session, found[0].id, now)
            else:
                await repository.revoke(session, principal.session, now)
            event = Audit(
                type="auth.logout_all" if everywhere else "auth.logout",
                resource=f"user/{principal.user}" if everywhere else f"session/{principal.session}",
                actor=principal.user,
            )
            record(session, event)
        await self.revocations.announce(
            Revoked(user=principal.user) if everywhere else Revoked(session=principal.session)
        )

    async def change_password(self, principal: Principal, old: str, new: str, device: Device) -> None:
        """Replace the caller's password and end all their sessions, this one too: a stolen one ends as well.

        Raises Problem: password_refused (the old one is wrong), login_locked; Invalid; Unavailable.
        """
        new_hash = ""

        async def prepare(email: str, *names: str) -> None:
            nonlocal new_hash
            if is_personal(new, email, *names):
                raise Invalid("body.new_password", "password_personal")
            new_hash = await attempts.hash_slowly(new)

        async def replace(session: AsyncSession, user: User, now: datetime) -> None:
            user.password_hash = new_hash
            user.version += 1
            await repository.revoke_all(session, user.id, now)

        await self._prove_again(
            principal, old, device=device, kind="auth.password", act=replace, prepare=prepare
        )
        await self.revocations.announce(Revoked(user=principal.user))

    async def reauthenticate(self, principal: Principal, password: str, device: Device) -> None:
        """Prove the caller's password again, for what asks that. Raises as `change_password` does."""

        async def remember(session: AsyncSession, _user: User, now: datetime) -> None:
            await repository.reauthenticate(session, principal.session, now)

        await self._prove_again(principal, password, device=device, kind="auth.reauth", act=remember)

    async def _prove_again(
        self,
        principal: Principal,
        password: str,
        *,
        device: Device,
        kind: str,
        act: Act,
        prepare: Callable[..., Awaitable[None]] | None = None,
    ) -> None:
        payload = device.digests(self.vault)
        seen = await repository.own_attempt(self.database, principal.user)
        if seen is None:
            raise _ended()
        if lockout.is_locked(seen["locked_until"], datetime.now(UTC)):
            raise attempts.locked(seen["locked_until"])
        is_proven = await attempts.prove(password, seen["password_hash"])
        if is_proven and prepare is not None:
            await prepare(seen["email"], seen["first_name"], seen["last_name"])
        async with self.database.transaction() as session:
            now = datetime.now(UTC)
            found = await UserRepository(session).lock(uuid=principal.user)
            if found is None:
                raise _ended()
            user = found[0]
            is_open = not lockout.is_locked(user.locked_until, now)
            if is_proven and is_open and user.password_hash == seen["password_hash"]:
                attempts.forgive(user)
                await act(session, user, now)
                event = Audit(
                    type=kind,
                    resource=f"user/{user.uuid}",
                    actor=user.uuid,
                    severity=Severity.MEDIUM,
                    payload=payload,
                )
                record(session, event)
                return
            refusal = await attempts.count(session, user, kind, payload, now)
        raise refusal

    async def _open(
        self, session: AsyncSession, user: User, wrapped_dek: bytes | None, device: Device, now: datetime
    ) -> Opened:
        assert wrapped_dek is not None  # noqa: S101 - `_may_enter` refuses the erased
        cipher = self.vault.subject(user.uuid, wrapped_dek)
        opened = Session(
            uuid=uuid4(),
            user_id=user.id,
            expires_at=now + SESSION,
            ip_enc=cipher.seal("ip", device.address),
            ua_enc=cipher.seal("ua", device.agent),
        )
        session.add(opened)
        await session.flush()
        return self._next(session, user, opened, now)

    def _next(self, session: AsyncSession, user: User, opened: Session, now: datetime) -> Opened:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        expires = min(now + REFRESH, opened.expires_at)
        session.add(
            RefreshToken(session_id=opened.id, sha256=sha256(token.encode()).digest(), expires_at=expires)
        )
        access = self.tokens.issue(user.uuid, Level(user.level), session=opened.uuid)
        return Opened(access, token, int((expires - now).total_seconds()))

    def _reused(self, link: repository.Link, device: Device) -> Audit:
        """Somebody else has, or had, this session's cookie."""
        return Audit(
            type="auth.refresh_reused",
            resource=f"session/{link.session.uuid}",
            actor=link.user.uuid,
            severity=Severity.CRITICAL,
            success=False,
            payload=device.digests(self.vault),
        )


def _may_enter(user: User) -> bool:
    return user.verified and user.erased_at is None and user.restricted_at is None


def _may_continue(link: repository.Link, now: datetime) -> bool:
    token, session, user = link
    is_running = session.revoked_at is None and session.expires_at > now and token.expires_at > now
    return is_running and user.verified and user.deleted_at is None and user.erased_at is None


def _ended() -> Problem:
    return Problem(Code.SESSION_ENDED, headers={"WWW-Authenticate": 'Bearer realm="gad"'})
