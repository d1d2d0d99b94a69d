"""Which tokens open something now: signed by us, of a session that runs, of a person who is still there.

A verdict is kept `CACHED_S` in this process; a revocation that is heard of drops it at once, one that is not
(Redis is away) shows when the row is read again.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from app import metrics
from app.auth import repository
from app.auth.tokens import Principal, Tokens
from app.db import Database
from app.errors import Code, Problem

CACHED_S = 5  # product contract, section 15; a revocation must show within 5 s
CACHED = 4096  # chosen: about 4 MiB, more than the people of one site

log = logging.getLogger("gad.sessions")


@dataclass(frozen=True)
class Revoked:
    """What ended: one session, or all of a person."""

    session: UUID | None = None
    user: UUID | None = None

    def covers(self, principal: Principal) -> bool:
        """Whether this caller is out."""
        return principal.session == self.session or principal.user == self.user


OnRevoked = Callable[[Revoked], None]


class Sessions:
    """The verdicts of one process. `now` is seconds since the epoch."""

    def __init__(self, tokens: Tokens, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._tokens = tokens
        self._database = database
        self._now = now
        # Token: (good until, who, whether the session runs). An ended one is kept too: it never runs again.
        self._verdicts: OrderedDict[str, tuple[float, Principal, bool]] = OrderedDict()
        self._heard = 0
        self._callbacks: list[OnRevoked] = []

    async def verified(self, token: str) -> Principal:
        """Who is calling. Raises TokenRefused; Problem (session_ended); Unavailable without a database."""
        now = self._now()
        kept = self._verdicts.get(token)
        if kept is not None and now < kept[0]:
            principal, runs = kept[1], kept[2]
        else:
            principal = self._tokens.verify(token)
            heard = self._heard
            runs = await repository.runs(self._database, principal)
            if heard == self._heard:  # else the row may have been read before it was revoked
                self._keep(token, (min(now + CACHED_S, principal.expires), principal, runs))
        if not runs:
            metrics.auth_failures.labels("session").inc()
            raise Problem(Code.SESSION_ENDED, headers={"WWW-Authenticate": 'Bearer realm="gad"'})
        return principal

    def _keep(self, token: str, verdict: tuple[float, Principal, bool]) -> None:
        self._verdicts[token] = verdict
        self._verdicts.move_to_end(token)
        if len(self._verdicts) > CACHED:
            self._verdicts.popitem(last=False)

    def on_revoked(self, callback: OnRevoked) -> None:
        """Call it with each revocation this process hears of; it must not block."""
        self._callbacks.append(callback)

    def forget(self) -> None:
        """Forget every verdict: a revocation may have been missed."""
        self._heard += 1
        self._verdicts.clear()

    def drop(self, revoked: Revoked) -> None:
        """Forget the verdicts of whoever is out, and tell those who asked."""
        self._heard += 1
        out = [token for token, (_, principal, _) in self._verdicts.items() if revoked.covers(principal)]
        for token in out:
            del self._verdicts[token]
        for callback in self._callbacks:
            try:
                callback(revoked)
            except Exception:
                log.exception("a callback failed")
