"""Answers that are kept for a moment: looked up in Redis, computed once where they are not there.

Each answer hangs on tags. A tag has a generation, a random word; an answer is stored with the generations
that were read before it was computed, and is good only while all of them still stand. To purge a tag is to
give it another word: no scan, and an answer whose computation began before the purge is never served after.
A generation that Redis evicted is a purge. Without Redis every answer is computed, once for all who ask
this process at the same time; across processes each computes once.

A purge that Redis did not hear is owed. This process pays before it looks anything up, so it never serves an
answer from before. Another one may, from Redis' return until this one pays: `AWAY_S` and a command's time, as
`ContentCache.run` pays unasked; and for what is left of `Kind.ttl_s` if this process ends before it can pay.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

import orjson
from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from app import metrics
from app.cache import CACHE_ERRORS, Cache

PREFIX = "gad:v1:"
ALL = "all"  # the tag of every answer
GENERATION_S = 86_400  # chosen: far longer than any answer is kept
AWAY_S = 1.0  # chosen: a Redis that just failed is not asked again by each request

log = logging.getLogger("gad.cached")


class Kind(StrEnum):
    """What is kept, under `gad:v1:{kind}:…` (product contract, section 10)."""

    USER = "stats:user"
    TEAM = "stats:team"
    TASKS = "stats:tasks"
    MAP = "map"

    @property
    def ttl_s(self) -> int:
        """How long an answer is kept at most: product contract, section 10."""
        return {Kind.USER: 300, Kind.TEAM: 60, Kind.TASKS: 900, Kind.MAP: 5}[self]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The place of one answer. A purge of any of `tags` ends it."""

    kind: Kind
    part: str = ""
    tags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Of the answer in Redis."""
        return f"{PREFIX}{self.kind}:{self.part}" if self.part else f"{PREFIX}{self.kind}"


class _Seen(NamedTuple):
    """What Redis said: the generations now, None if it said nothing; the answer if it is good."""

    stamp: bytes | None
    body: bytes | None


Compute = Callable[[], Awaitable[Mapping[str, object]]]


class ContentCache:
    """The cached answers, as one process sees them. `clock` is monotonic, in seconds."""

    def __init__(self, cache: Cache, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = cache.redis
        self._clock = clock
        self._away_until = 0.0
        self._purges = 0
        self._owed: dict[str, int] = {}  # tags to be purged, each with the number of its purge
        self._is_behind = asyncio.Event()  # set while something is owed that nobody is about to pay
        self._running: dict[tuple[str, bytes | None, int], asyncio.Task[bytes]] = {}
        self.results: Counter[str] = Counter()
        """Lookups of this process by result: hit, miss, error."""

    async def get(self, entry: Entry, compute: Compute) -> bytes:
        """The answer as JSON with `cached` and `as_of` (UTC). Raises what `compute` raises."""
        purges = self._purges
        seen = await self._look(entry)
        result = "hit" if seen.body is not None else "miss" if seen.stamp is not None else "error"
        self.results[result] += 1
        metrics.cache_requests.labels(result).inc()
        if seen.body is not None:
            return b'{"cached":true,' + seen.body[1:]
        # Whoever asks after a purge never joins a computation that began before it.
        flight = (entry.key, seen.stamp, purges)
        task = self._running.get(flight)
        if task is None:
            task = asyncio.create_task(self._compute(entry, seen.stamp, compute))
            self._running[flight] = task
            task.add_done_callback(lambda done: self._landed(flight, done))
        # Shielded: one caller who leaves takes nothing from the others.
        return b'{"cached":false,' + (await asyncio.shield(task))[1:]

    async def purge(self, *tags: str) -> None:
        """End every answer that hangs on one of `tags`. Without Redis the purge is owed, and done first
        thing when it is back; a write does not wait for a Redis that just failed."""
        self._owe(*tags)
        if self._clock() < self._away_until:
            self._is_behind.set()
            return
        try:
            await self._pay()
        except CACHE_ERRORS:
            self._note_failure()

    async def run(self) -> None:
        """Pay what is owed as soon as Redis answers again, whoever asks or not. Cancel to stop."""
        while True:
            await self._is_behind.wait()
            await asyncio.sleep(max(0.0, self._away_until - self._clock()))
            try:
                await self._pay()
            except CACHE_ERRORS:
                self._note_failure()
            except Exception:
                log.exception("paying purges failed")
                await asyncio.sleep(AWAY_S)

    async def count(self) -> dict[str, int]:
        """Answers stored now, by kind. Raises one of CACHE_ERRORS."""
        now = time.time()
        async with self._redis.pipeline(transaction=False) as pipe:
            for kind in Kind:
                pipe.zcount(_keys_of(kind), now, "+inf")
            counts = await pipe.execute()
        return {kind.value: int(n) for kind, n in zip(Kind, counts, strict=True)}

    async def purge_all(self) -> None:
        """End every answer. Raises one of CACHE_ERRORS: somebody is waiting to hear that it is done."""
        self._owe(ALL)
        try:
            await self._pay()
            await self._redis.delete(*map(_keys_of, Kind))
        except CACHE_ERRORS:
            self._note_failure()
            raise

    async def _look(self, entry: Entry) -> _Seen:
        if self._clock() < self._away_until:
            return _Seen(None, None)
        try:
            if self._owed:
                await self._pay()
            places = [_generation(tag) for tag in (ALL, *entry.tags)]
            stored, *words = await self._read(entry.key, *places)
            if None in words:
                words = await self._begin(places)
        except CACHE_ERRORS:
            self._note_failure()
            return _Seen(None, None)
        known = [word for word in words if word is not None]
        if len(known) < len(places):
            return _Seen(None, None)  # evicted again at once: Redis is full, nothing can be kept
        stamp = b" ".join(known)
        if stored is not None:
            made, _, body = stored.partition(b"\n")
            if made == stamp:
                return _Seen(stamp, body)
        return _Seen(stamp, None)

    async def _read(self, *keys: str) -> list[bytes | None]:
        # The client is made without decoding; its types allow for both.
        return [each if each is None else bytes(each) for each in await self._redis.mget(*keys)]  # type: ignore[arg-type]

    async def _begin(self, places: list[str]) -> list[bytes | None]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for place in places:
                pipe.set(place, _word(), ex=GENERATION_S, nx=True)
            await pipe.execute()
        return await self._read(*places)

    async def _compute(self, entry: Entry, stamp: bytes | None, compute: Compute) -> bytes:
        as_of = datetime.now(UTC).replace(microsecond=0)
        answer = {"as_of": as_of, **await compute()}
        body = orjson.dumps(answer, default=str, option=orjson.OPT_UTC_Z)
        if stamp is not None:
            await self._store(entry, stamp + b"\n" + body)
        return body

    async def _store(self, entry: Entry, value: bytes) -> None:
        now, ttl_s, keys = time.time(), entry.kind.ttl_s, _keys_of(entry.kind)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(entry.key, value, ex=ttl_s)
                # To count without a scan: each key with the moment it ends.
                pipe.zadd(keys, {entry.key: now + ttl_s})
                pipe.zremrangebyscore(keys, "-inf", now)
                pipe.expire(keys, ttl_s)
                await pipe.execute()
        except CACHE_ERRORS:
            self._note_failure()

    def _owe(self, *tags: str) -> None:
        self._purges += 1
        self._owed.update(dict.fromkeys(tags, self._purges))

    async def _pay(self) -> None:
        tags = dict(self._owed)
        async with self._redis.pipeline(transaction=False) as pipe:
            for tag in tags:
                pipe.set(_generation(tag), _word(), ex=GENERATION_S)
            await pipe.execute()
        for tag, number in tags.items():
            if self._owed.get(tag) == number:  # else it was owed again while Redis was busy with this one
                del self._owed[tag]
        if not self._owed:
            self._is_behind.clear()

    def _note_failure(self) -> None:
        self._away_until = self._clock() + AWAY_S
        if self._owed:
            self._is_behind.set()

    def _landed(self, flight: tuple[str, bytes | None, int], done: asyncio.Task[bytes]) -> None:
        del self._running[flight]
        if not done.cancelled():
            done.exception()  # whoever waited was told; when all have left, nobody needs to be


def _generation(tag: str) -> str:
    return f"{PREFIX}generation:{tag}"


def _keys_of(kind: Kind) -> str:
    return f"{PREFIX}keys:{kind}"


def _word() -> str:
    return secrets.token_hex(8)


def as_response(body: bytes) -> Response:
    """The answer of `get`, as it is."""
    return Response(body, media_type="application/json")


async def _content(request: Request) -> ContentCache:
    content: ContentCache = request.app.state.content
    return content


Content = Annotated[ContentCache, Depends(_content)]
