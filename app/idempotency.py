"""Idempotency-Key: the same request twice has one effect, and the same answer.

The answer is stored in the transaction that has the effect: there is never one without the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Depends, Header
from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from starlette.requests import Request
from starlette.responses import Response

from app.db import Read, Row, at_end, run
from app.errors import Code, Problem
from app.guard import Authorized
from app.user.vault import Vault

KEPT = timedelta(hours=24)  # product contract, section 2
_HEADERS = ("location", "etag")
_KEY = "idempotency_keys_pkey"


def kept_headers(response: Response) -> dict[str, str]:
    """Those of an answer that are given again with it."""
    return {name: response.headers[name] for name in _HEADERS if name in response.headers}


class IdempotencyKey(Row):
    """An answer that was given, under the key its caller chose."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("idempotency_keys_created_at_idx", "created_at"),)

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True)
    route: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    body_sha256: Mapped[bytes] = mapped_column(BYTEA)
    response: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


_BEGIN = Read(
    text("""
        SELECT pg_try_advisory_xact_lock(hashtextextended(CAST(:lock AS text), 0)) AS is_free,
            k.body_sha256, CAST(k.response AS text) AS response
        FROM users u LEFT JOIN idempotency_keys k
            ON k.user_id = u.id AND k.route = CAST(:route AS text) AND k.key = CAST(:key AS text)
        WHERE u.uuid = CAST(:user AS uuid)
    """)
)
_INSERT = Read(
    text("""
        INSERT INTO idempotency_keys (user_id, route, key, body_sha256, response)
        SELECT id, CAST(:route AS text), CAST(:key AS text), CAST(:body_sha256 AS bytea),
            CAST(:response AS jsonb)
        FROM users WHERE uuid = CAST(:user AS uuid)
    """)
)


@dataclass(frozen=True)
class Once:
    """One request's key; without a key nothing is looked up and nothing stored."""

    user: UUID
    route: str
    key: str | None
    body_sha256: bytes

    async def replay(self, session: AsyncSession) -> Response | None:
        """The answer given before, or None: go on, and `store` what you answer.

        Raises Problem: idempotency_in_flight (409) while the first request runs; idempotency_mismatch (422)
        for another body under the same key.
        """
        if self.key is None:
            return None
        lock = f"{self.user}/{self.route}/{self.key}"
        found = await run(session, _BEGIN, lock=lock, user=self.user, route=self.route, key=self.key)
        if not found:  # deleted since the token was looked at
            raise Problem(Code.SESSION_ENDED)
        if not found[0]["is_free"]:
            raise Problem(Code.IDEMPOTENCY_IN_FLIGHT)
        if found[0]["response"] is None:
            return None
        if found[0]["body_sha256"] != self.body_sha256:
            raise Problem(Code.IDEMPOTENCY_MISMATCH)
        stored = orjson.loads(found[0]["response"])
        return Response(
            stored["body"], stored["status"], headers=stored["headers"], media_type="application/json"
        )

    def store(self, session: AsyncSession, response: Response) -> None:
        """Keep what is about to be answered, in the same unit of work."""
        if self.key is None:
            return
        headers = kept_headers(response)
        body = bytes(response.body).decode()
        kept = {"status": response.status_code, "headers": headers, "body": body}
        at_end(
            session,
            _INSERT,
            # The first request ended between the look at the rows and the lock.
            refusals={_KEY: Problem(Code.IDEMPOTENCY_IN_FLIGHT)},
            user=self.user,
            route=self.route,
            key=self.key,
            body_sha256=self.body_sha256,
            response=orjson.dumps(kept).decode(),
        )


async def _once(
    request: Request,
    caller: Authorized,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=8,
            max_length=64,
            pattern=r"^[A-Za-z0-9._-]+$",
            description="Chosen by the caller, unlike any other; kept 24 hours.",
        ),
    ] = None,
) -> Once:
    route = f"{request.method} {request.url.path}"
    if idempotency_key is None:
        return Once(caller.principal.user, route, None, b"")
    # With our key: a body may hold a password, which a plain digest in the rows would let others guess.
    vault: Vault = request.app.state.vault
    digest = vault.digest("body", sha256(await request.body()).hexdigest())
    return Once(caller.principal.user, route, idempotency_key, digest)


Idempotent = Annotated[Once, Depends(_once)]
