"""Every refusal for want of rights is audited, and no flood of them can fill the table.

One event for each person and route a minute and process; the next one says how many were left out. People
are known here, so their number bounds the events; callers without a token count as one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from uuid import UUID

from app.audit.models import Severity
from app.audit.recorder import Audit, note
from app.db import Database
from app.errors import Problem

EVERY_S = 60.0  # chosen: somebody who tries doors shows within a minute, whatever their speed
KEPT = 4096  # chosen: persons x routes of one busy minute; what is pushed out is audited once more

log = logging.getLogger("gad.denials")


class Denials:
    """What one process has refused lately. `now` is seconds of a clock that never goes back."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._now = now
        self._noted: dict[tuple[UUID | None, str], tuple[float, int]] = {}

    async def note(self, user: UUID | None, route: str, code: str, path: Mapping[str, object]) -> None:
        """Write `access.denied` unless this person met it on this route a moment ago; never raises Problem.

        `route` is "METHOD /path/{with}/names"; of `path`, what was asked for, only uuids are kept.
        """
        key = (user, route)
        now = self._now()
        at, left_out = self._noted.pop(key, (float("-inf"), 0))
        if now - at < EVERY_S:
            self._noted[key] = (at, left_out + 1)
            return
        if len(self._noted) >= KEPT:
            del self._noted[next(iter(self._noted))]
        self._noted[key] = (now, 0)
        payload = {"code": code, "left_out": left_out, **_uuids(path)}
        event = Audit(
            type="access.denied",
            resource=route,
            actor=user,
            severity=Severity.MEDIUM,
            success=False,
            payload=payload,
        )
        try:
            await note(self._database, event)
        except Problem:
            self._noted.pop(key, None)  # without a database; the refusal itself stands
            log.warning("a refusal could not be audited")


def _uuids(path: Mapping[str, object]) -> dict[str, str]:
    found = {}
    for name, value in path.items():
        try:
            found[name] = str(UUID(str(value)))
        except ValueError:
            continue  # whatever else was asked for is the sender's own text
    return found
