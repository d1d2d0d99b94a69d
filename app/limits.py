"""How many requests a minute: counted in Redis, so that all replicas share one total.

A window is fixed: 60 s from a subject's first request. Within it never more than the limit is let through,
however many replicas there are, for whatever a process may let through was taken from the total before.
Around the border of two windows 60 s can hold up to twice the limit: chosen, as a sliding count would cost
a round trip for each request.

For limits from `LEASED_FROM` a process takes a block of a tenth at a time and asks Redis once for all of it.
The price: what one replica holds and does not use is lost to the others until the window ends, at most a
tenth for each further replica.

Without Redis each process counts for itself, in windows of its own, and asks again every `RETRY_S`: then the
limits hold for each process. A Redis short of memory may forget a count early; they are keys with an expiry.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from math import ceil

from starlette.types import Scope

from app import metrics
from app.cache import CACHE_ERRORS, Cache
from app.errors import Code, Problem

WINDOW_S = 60.0  # product contract, section 5: per minute
LEASED_FROM = 100  # product contract, section 15
BLOCKS = 10  # chosen: one request in ten or more asks Redis, and few requests are lost in unused blocks
RETRY_S = 5.0  # chosen: one request in this time waits for a Redis that is away
SUBJECTS = 20_000  # chosen: about 6 MiB; addresses of a flood push the oldest out, and with them a lease

# One window: what is granted of what is wanted, and how long the window lasts, in milliseconds.
GRANT = """
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local granted = math.max(0, math.min(tonumber(ARGV[2]), tonumber(ARGV[1]) - used))
if granted > 0 then
  redis.call('INCRBY', KEYS[1], granted)
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  left = tonumber(ARGV[3])
end
return {granted, left}
"""

log = logging.getLogger("gad.limits")


class RateClass(StrEnum):
    """What is counted together. The first two are counted by address, the others by user."""

    ANONYMOUS = "anonymous"
    AUTH = "auth"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    EMERGENCY = "emergency"
    WS = "ws"
    EXPORT = "export"


for _each in RateClass:
    metrics.rate_limited.labels(_each.value)


class _Window:
    """What this process may still let through of one subject; `closed`: no more comes before its end."""

    __slots__ = ("closed", "left", "lock", "until")

    def __init__(self) -> None:
        self.left = 0
        self.until = 0.0
        self.closed = False
        self.lock = asyncio.Lock()


class Limits:
    """The limits of one process. `now` is seconds of a clock that never goes back."""

    def __init__(
        self, cache: Cache, per_minute: Mapping[RateClass, int], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._grant = cache.script(GRANT)
        self._limits = dict(per_minute)
        self._now = now
        self._windows: dict[tuple[RateClass, object], _Window] = {}
        self._away_until: float | None = None  # Redis did not answer; asked again then

    async def spend(self, rate: RateClass, subject: object) -> None:
        """Count one request. Raises Problem (rate_limited) with Retry-After if it is one too many."""
        window = self._windows.get((rate, subject))
        if window is None:
            window = self._open(rate, subject)
        now = self._now()
        if now < window.until:
            if window.left > 0:
                window.left -= 1
                return
            if window.closed:
                raise self._refusal(rate, window.until - now)
        async with window.lock:  # many at once take one block, not one each
            now = self._now()
            if now >= window.until or (window.left == 0 and not window.closed):
                await self._lease(window, rate, subject, now)
            if window.left == 0:
                raise self._refusal(rate, window.until - now)
            window.left -= 1

    def _open(self, rate: RateClass, subject: object) -> _Window:
        if len(self._windows) >= SUBJECTS:
            del self._windows[next(iter(self._windows))]
        window = self._windows[rate, subject] = _Window()
        return window

    async def _lease(self, window: _Window, rate: RateClass, subject: object, now: float) -> None:
        limit = self._limits[rate]
        wanted = limit // BLOCKS if limit >= LEASED_FROM else 1
        if self._is_worth_asking(now):
            key = f"gad:v1:limit:{rate.value}:{subject}"
            try:
                granted, left_ms = await self._grant(keys=[key], args=[limit, wanted, int(WINDOW_S * 1000)])
            except CACHE_ERRORS as error:
                self._lose(error)
            else:
                self._away_until = None
                # From before the question: never later than the key's own end.
                window.left, window.until = int(granted), now + int(left_ms) / 1000
                window.closed = window.left < wanted
                return
        window.left, window.until, window.closed = limit, now + WINDOW_S, True

    def _is_worth_asking(self, now: float) -> bool:
        if self._away_until is None:
            return True
        if now < self._away_until:
            return False
        self._away_until = now + RETRY_S  # this one finds out for all
        return True

    def _lose(self, error: BaseException) -> None:
        if self._away_until is None:
            kind = type(error).__name__
            log.warning("Redis is away: limits hold for each process", extra={"fields": {"reason": kind}})
        self._away_until = self._now() + RETRY_S

    def _refusal(self, rate: RateClass, wait_s: float) -> Problem:
        metrics.rate_limited.labels(rate.value).inc()
        return Problem(Code.RATE_LIMITED, headers={"Retry-After": str(max(1, ceil(wait_s)))})


def address_of(scope: Scope) -> str:
    """Whose requests count together when nobody is known: the address, of IPv6 its /64.

    Behind a trusted proxy the server has put the client's address there (GAD_TRUSTED_PROXIES).
    """
    client = scope.get("client")
    return _subject(client[0]) if client else "unknown"


@lru_cache(maxsize=4096)
def _subject(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"  # no address: a proxy wrote a name
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        # One holder has at least a /64, and so as many addresses as they like.
        return str(mapped) if mapped is not None else f"{address.packed[:8].hex()}/64"
    return str(address)
