"""Waiting for a command and for those who read its outputs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

# Seconds between two looks at the cancel flag; the end of the command itself is seen at once.
CANCEL_CHECK_S = 0.2


def wait(
    has_ended: Callable[[float], bool],
    workers: Sequence[threading.Thread],
    cancelled: threading.Event,
    deadline: float | None,
) -> str | None:
    """None when the command and its workers have ended, else why they are waited for no longer.

    `has_ended` waits so many seconds at most. `deadline` is of time.monotonic().
    """
    while True:
        if has_ended(CANCEL_CHECK_S):
            for worker in workers:
                worker.join(CANCEL_CHECK_S / len(workers))
            if not any(worker.is_alive() for worker in workers):
                return None
        if cancelled.is_set():
            return "cancelled"
        if deadline is not None and time.monotonic() > deadline:
            return "timed out"
