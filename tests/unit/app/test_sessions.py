"""The verdicts of one process, against a database that says what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from app.auth import sessions as subject
from app.auth.revocation import decode, encode
from app.auth.sessions import CACHED_S, Revoked, Sessions
from app.auth.tokens import LIFETIME_S, TokenRefused, Tokens
from app.db import Database
from app.errors import Code, Problem, Unavailable
from app.user.models import Level

USER, SESSION = UUID(int=1), UUID(int=2)


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Rows(Database):
    """Answers whether the session runs, and counts the questions."""

    runs: bool = True
    is_up: bool = True
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def row(self, _read: object, **values: Any) -> Any:
        self.asked.append(values)
        if not self.is_up:
            raise Unavailable
        return object() if self.runs else None


@dataclass
class Door:
    clock: Clock
    rows: Rows
    sessions: Sessions
    token: str

    async def opens(self) -> bool:
        try:
            principal = await self.sessions.verified(self.token)
        except Problem as problem:
            if problem.code is not Code.SESSION_ENDED:
                raise
            return False
        assert (principal.user, principal.session, principal.level) == (USER, SESSION, Level.SUPERVISOR)
        return True


@pytest.fixture
def door() -> Door:
    clock, rows = Clock(), Rows()
    tokens = Tokens(secret="first-key-" * 4, previous=None, issuer="i", audience="a", now=clock)
    sessions = Sessions(tokens, rows, now=clock)
    return Door(clock, rows, sessions, tokens.issue(USER, Level.SUPERVISOR, session=SESSION))


async def test_the_row_is_read_once_in_five_seconds(door: Door) -> None:
    assert [await door.opens() for _ in range(3)] == [True] * 3
    assert door.rows.asked == [{"session": SESSION, "user": USER, "level": 2}]
    door.clock.now += CACHED_S - 0.1
    door.rows.runs = False
    assert await door.opens()
    door.clock.now += 0.1
    assert not await door.opens()
    assert len(door.rows.asked) == 2


async def test_an_ended_session_is_not_asked_for_again(door: Door) -> None:
    door.rows.runs = False
    assert [await door.opens() for _ in range(3)] == [False] * 3
    assert len(door.rows.asked) == 1


async def test_a_cached_token_expires_too(door: Door) -> None:
    door.clock.now += LIFETIME_S - 1
    assert await door.opens()
    door.clock.now += CACHED_S + 1
    with pytest.raises(TokenRefused, match="expired"):
        await door.opens()


async def test_without_a_database_nobody_is_let_in_or_put_out(door: Door) -> None:
    door.rows.is_up = False
    with pytest.raises(Unavailable):
        await door.opens()
    door.rows.is_up = True
    assert await door.opens()
    door.rows.is_up = False
    assert await door.opens()  # the verdict is known


@pytest.mark.parametrize(
    ("revoked", "is_out"),
    [
        (Revoked(session=SESSION), True),
        (Revoked(user=USER), True),
        (Revoked(session=UUID(int=9)), False),
        (Revoked(user=UUID(int=9)), False),
    ],
)
async def test_a_revocation_drops_the_verdicts_it_covers(door: Door, revoked: Revoked, is_out: bool) -> None:
    told: list[Revoked] = []
    door.sessions.on_revoked(told.append)
    assert await door.opens()
    door.rows.runs = False
    door.sessions.drop(revoked)
    assert await door.opens() is not is_out
    assert told == [revoked]


async def test_a_verdict_that_a_revocation_overtakes_is_not_kept(door: Door) -> None:
    async def row(_read: object, **values: Any) -> Any:
        door.rows.asked.append(values)
        door.sessions.drop(Revoked(session=SESSION))  # heard while the older row is on its way
        return object()

    door.rows.row = row  # type: ignore[method-assign]
    assert await door.opens()
    assert await door.opens()
    assert len(door.rows.asked) == 2


async def test_a_failing_listener_stops_no_other(door: Door) -> None:
    told: list[Revoked] = []

    def fail(_revoked: Revoked) -> None:
        raise RuntimeError

    door.sessions.on_revoked(fail)
    door.sessions.on_revoked(told.append)
    door.sessions.drop(Revoked(user=USER))
    assert told == [Revoked(user=USER)]


async def test_forgetting_reads_every_row_again(door: Door) -> None:
    assert await door.opens()
    door.sessions.forget()
    assert await door.opens()
    assert len(door.rows.asked) == 2


async def test_the_verdicts_are_bounded_and_hold_no_forged_token(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "CACHED", 3)
    for number in range(5):
        token = door.sessions._tokens.issue(USER, Level.OFFICER, session=UUID(int=number))
        await door.sessions.verified(token)
    with pytest.raises(TokenRefused, match="malformed"):
        await door.sessions.verified("x.y.z")
    assert [each.session.int for _, each, _ in door.sessions._verdicts.values()] == [2, 3, 4]


@pytest.mark.parametrize("revoked", [Revoked(session=SESSION), Revoked(user=USER)])
def test_what_is_published_is_understood(revoked: Revoked) -> None:
    assert decode(encode(revoked)) == revoked


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"7", b'{"user": 7}', b'{"user": "x"}', b'{"a": 1, "b": 2}', b'{"level": "x"}', 1],
)
def test_anything_else_is_nothing(data: Any) -> None:
    assert decode(data) is None
