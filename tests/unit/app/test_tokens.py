from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import pytest

from app.auth.tokens import LEEWAY_S, LIFETIME_S, Principal, TokenRefused, Tokens
from app.user.models import Level

USER, SESSION = UUID(int=1), UUID(int=2)
ONE, TWO, THREE = ("first-key-" * 4, "second-key-" * 4, "third-key-" * 4)


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def tokens(clock: Clock, secret: str = ONE, previous: str | None = None) -> Tokens:
    return Tokens(secret=secret, previous=previous, issuer="i", audience="a", now=clock)


def test_an_issued_token_is_verified_until_it_expires() -> None:
    clock = Clock()
    both = tokens(clock)
    token = both.issue(USER, Level.SUPERVISOR, session=SESSION)
    assert both.verify(token) == Principal(USER, SESSION, Level.SUPERVISOR, clock.now + LIFETIME_S)
    clock.now += LIFETIME_S + LEEWAY_S - 1
    assert both.verify(token).level is Level.SUPERVISOR
    clock.now += 1
    with pytest.raises(TokenRefused, match="expired"):
        both.verify(token)


def test_keys_change_without_a_pause() -> None:
    clock = Clock()
    before, during, after = tokens(clock, ONE), tokens(clock, TWO, ONE), tokens(clock, THREE, TWO)
    old = before.issue(USER, Level.OFFICER, session=SESSION)
    new = during.issue(USER, Level.OFFICER, session=SESSION)
    assert during.verify(old) == during.verify(new) == after.verify(new)
    with pytest.raises(TokenRefused, match="claims"):
        after.verify(old)


@pytest.mark.parametrize("skew", [-LEEWAY_S + 1, 0, LEEWAY_S - 1])
def test_clocks_may_differ_by_less_than_the_leeway(skew: int) -> None:
    here, there = Clock(), Clock(Clock().now + skew)
    token = tokens(there).issue(USER, Level.OFFICER, session=SESSION)
    assert tokens(here).verify(token).expires == there.now + LIFETIME_S


def test_a_token_from_the_future_is_refused() -> None:
    early, late = Clock(), Clock(Clock().now + 60)
    token = tokens(late).issue(USER, Level.OFFICER, session=SESSION)
    with pytest.raises(TokenRefused, match="claims"):
        tokens(early).verify(token)
