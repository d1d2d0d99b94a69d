"""Five wrong passwords close an account for half an hour, whether it exists or not. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

FAILURES = 5  # product contract, section 5
LOCKED = timedelta(minutes=30)  # product contract, section 5


def is_locked(until: datetime | None, now: datetime) -> bool:
    """Whether no password opens it now."""
    return until is not None and until > now


def after_failure(failed: int, until: datetime | None, now: datetime) -> tuple[int, datetime | None]:
    """Failures counted and end of the lock, after one more; a lock that was served starts the count anew."""
    failed = 1 if until is not None else failed + 1
    return failed, now + LOCKED if failed >= FAILURES else None


def retry_after(until: datetime, now: datetime) -> str:
    """Whole seconds until a password may be tried again, at least 1."""
    return str(max(1, math.ceil((until - now).total_seconds())))
