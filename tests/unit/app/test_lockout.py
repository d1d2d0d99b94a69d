from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.auth.lockout import FAILURES, LOCKED, after_failure, is_locked, retry_after

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_the_fifth_failure_locks_for_half_an_hour() -> None:
    failed, until = 0, None
    counts = []
    for _ in range(FAILURES):
        failed, until = after_failure(failed, until, NOW)
        counts.append((failed, until))
    assert counts == [(1, None), (2, None), (3, None), (4, None), (5, NOW + timedelta(minutes=30))]


def test_a_lock_that_was_served_starts_the_count_anew() -> None:
    assert after_failure(FAILURES, NOW - SECOND, NOW) == (1, None)


@pytest.mark.parametrize(
    ("until", "locked"), [(None, False), (NOW, False), (NOW + SECOND, True), (NOW - SECOND, False)]
)
def test_is_locked(until: datetime | None, locked: bool) -> None:
    assert is_locked(until, NOW) is locked


@pytest.mark.parametrize(
    ("left", "seconds"), [(LOCKED, "1800"), (timedelta(milliseconds=1500), "2"), (-SECOND, "1")]
)
def test_retry_after_is_whole_seconds_and_never_0(left: timedelta, seconds: str) -> None:
    assert retry_after(NOW + left, NOW) == seconds
