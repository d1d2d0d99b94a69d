"""What is removed after its time, and what is not yet."""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID

import asyncpg
import pytest
from bodies import Callers
from stores import Stores

from app.auth import expiry
from app.duties import UPKEEP

SESSION = "INSERT INTO sessions (uuid, user_id, expires_at) SELECT gen_random_uuid(), id, {at} FROM users u"
REFRESH = (
    "INSERT INTO refresh_tokens (session_id, sha256, expires_at, used_at)"
    " SELECT s.id, sha256(gen_random_uuid()::text::bytea), {at}, now() FROM sessions s"
    " JOIN users u ON u.id = s.user_id"
)
LINK = (
    "INSERT INTO link_codes (user_id, sha256, expires_at)"
    " SELECT id, sha256(gen_random_uuid()::text::bytea), {at} FROM users u"
)
KEY = (
    "INSERT INTO idempotency_keys (user_id, route, key, body_sha256, response, created_at)"
    " SELECT id, 'POST /x', gen_random_uuid()::text, '', '{{}}', {at} FROM users u"
)


async def count(connection: asyncpg.Connection[asyncpg.Record], table: str, user: UUID) -> int:
    owner = {
        "refresh_tokens": "session_id IN (SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id"
        " WHERE u.uuid = $1)"
    }.get(table, "user_id = (SELECT id FROM users WHERE uuid = $1)")
    return int(await connection.fetchval(f"SELECT count(*) FROM {table} WHERE {owner}", user))  # noqa: S608


@pytest.mark.parametrize(
    ("table", "insert", "kept", "gone"),
    [
        ("sessions", SESSION, "now() - interval '89 days'", "now() - interval '91 days'"),
        ("refresh_tokens", REFRESH, "now() + interval '1 hour'", "now() - interval '1 hour'"),
        ("link_codes", LINK, "now() + interval '1 minute'", "now() - interval '1 minute'"),
        ("idempotency_keys", KEY, "now() - interval '23 hours'", "now() - interval '25 hours'"),
    ],
)
async def test_only_what_has_served_its_time_goes(
    *, stores: Stores, caller: Callers, table: str, insert: str, kept: str, gone: str
) -> None:
    user = UUID((await caller(1)).user)
    connection = await asyncpg.connect(stores.dsn())
    try:
        before = await count(connection, table, user)
        for at in (kept, gone, gone):
            await connection.execute(f"{insert.format(at=at)} WHERE u.uuid = $1", user)
        assert await count(connection, table, user) == before + 3
        await expiry.expire(connection)
        assert await count(connection, table, user) == before + 1
    finally:
        await connection.close()


async def test_counts_of_unknown_emails_are_forgotten_after_a_month(stores: Stores) -> None:
    connection = await asyncpg.connect(stores.dsn())
    digests = [hashlib.sha256(secrets.token_bytes(8)).digest() for _ in range(2)]
    try:
        for digest, days in zip(digests, (29, 31), strict=True):
            await connection.execute(
                "INSERT INTO login_failures (email_hmac, failed_attempts, updated_at)"
                " VALUES ($1, 4, now() - make_interval(days => $2))",
                digest,
                days,
            )
        await expiry.expire(connection)
        left = await connection.fetch(
            "SELECT email_hmac FROM login_failures WHERE email_hmac = ANY ($1)", digests
        )
    finally:
        await connection.close()
    assert [each["email_hmac"] for each in left] == digests[:1]


async def test_more_than_a_batch_goes_at_once(
    stores: Stores, caller: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    user = UUID((await caller(1)).user)
    connection = await asyncpg.connect(stores.dsn())
    try:
        old = LINK.format(at="now() - interval '1 hour'")
        for _ in range(5):
            await connection.execute(f"{old} WHERE u.uuid = $1", user)
        await expiry.expire(connection)
        assert await count(connection, "link_codes", user) == 0
    finally:
        await connection.close()


def test_somebody_does_it_every_hour() -> None:
    assert [(duty.every_s, duty.run) for duty in UPKEEP if duty.name == "expiry"] == [(3600, expiry.expire)]
