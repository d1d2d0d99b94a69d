"""The stream of published events in Redis: what an entry is, how it gets there once, how it is read.

A lost Redis costs time, never events: what is not published waits in the outbox, and reading goes on where it
ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

STREAM = "gad:events"
KNOWN = "gad:events:known"  # uuids of the last events, by when they came
WAKE = "gad:wake"
MAXLEN = 100_000  # product contract, section 6; approximate, as trimming whole nodes is far cheaper
# Chosen: an event can only come twice when its publisher died before it noted a batch (app/outbox.py), and
# many batches fit. No key with an expiry: such a key gives way when memory is short.
KNOWN_KEPT = 20_000

PAGE = 200  # entries read at a time: chosen, about 2 ms of parsing
TIMEOUT_S = 1.0  # a command; longer than a request's, as nobody waits for it

Position: TypeAlias = tuple[int, int]  # an entry's id, comparable
START: Position = (0, 0)

# ARGV: the stream's and the known ids' length, then (uuid, topics, body) of each event.
PUBLISH = """
local now = redis.call('TIME')
local at = now[1] * 1000 + math.floor(now[2] / 1000)
local added = 0
for i = 3, #ARGV, 3 do
  if redis.call('ZADD', KEYS[2], 'NX', at, ARGV[i]) == 1 then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'u', ARGV[i], 't', ARGV[i + 1], 'b', ARGV[i + 2])
    added = added + 1
  end
end
if added > 0 then
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[2])
  redis.call('PUBLISH', KEYS[3], added)
end
return added
"""


class Entry:
    """One event in the stream. `rest`: what of its envelope is the same for everybody, as a JSON object."""

    __slots__ = ("_messages", "id", "position", "rest", "topics", "type")

    def __init__(self, entry_id: str, topics: tuple[str, ...], body: bytes) -> None:
        self.id = entry_id
        self.position = position_of(entry_id)
        self.topics = topics
        self.rest = body
        kind, _, _ = body.removeprefix(b'{"type":"').partition(b'"')
        self.type = kind.decode()
        self._messages: dict[str, bytes] = {}

    def message(self, topic: str) -> bytes:
        """The envelope for those who hear of it by `topic`; made once for all of them."""
        made = self._messages.get(topic)
        if made is None:
            made = b'{"id":"%s","topic":"%s",%s' % (self.id.encode(), topic.encode(), self.rest[1:])
            self._messages[topic] = made
        return made


def position_of(entry_id: str) -> Position:
    """An entry's id as numbers. Raises ValueError for what is no id."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def id_of(position: Position) -> str:
    """The id of an entry at `position`."""
    return f"{position[0]}-{position[1]}"


def fields_of(uuid: object, topics: Sequence[str], envelope: Mapping[str, object]) -> tuple[str, str, bytes]:
    """What the script stores of an event: (uuid, topics, body), the body with its type first."""
    body = orjson.dumps({"type": envelope["type"], "data": envelope["data"], "ts": envelope["ts"]})
    return str(uuid), " ".join(topics), body


def entries_of(raw: Sequence[Any]) -> list[Entry]:
    """The entries of an answer of Redis, (id, fields) each; one that this release cannot read is left out."""
    return [
        Entry(entry_id.decode(), tuple(fields[b"t"].decode().split(" ")), fields[b"b"])
        for entry_id, fields in raw
        if b"t" in fields and b"b" in fields
    ]


@dataclass(frozen=True)
class Bounds:
    """The first entry that is kept and the last one; whether entries before the first were let go."""

    first: Position
    last: Position
    trimmed: bool

    def has_gap_after(self, seen: Position) -> bool:
        """Whether events may be missing for somebody who saw `seen` last.

        If that entry is not kept any more, neither may others be that came after it. If it is later than the
        last one, it was another stream's: Redis lost its data. START: nothing was ever seen.
        """
        if seen == START:
            return self.trimmed
        return seen < self.first or seen > self.last


class Stream:
    """One process's way to the stream. A call raises one of app.cache.CACHE_ERRORS, within `TIMEOUT_S`."""

    def __init__(self, url: str, *, name: str) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            client_name=name,
            retry=Retry(NoBackoff(), 1),  # one: a connection that Redis closed while idle
        )
        self._publish = self._redis.register_script(PUBLISH)

    async def publish(self, events: Sequence[tuple[str, str, bytes]]) -> int:
        """Append those that are not known yet, in this order, and wake every reader; how many they were."""
        arguments = [part for event in events for part in event]
        return int(await self._publish(keys=[STREAM, KNOWN, WAKE], args=[MAXLEN, KNOWN_KEPT, *arguments]))

    async def after(self, position: Position, count: int = PAGE) -> list[Entry]:
        """The entries that follow `position`, in order."""
        return entries_of(await self._redis.xrange(STREAM, min=f"({id_of(position)}", count=count) or ())

    async def newest(self, count: int) -> list[Entry]:
        """The last entries, in order."""
        return entries_of((await self._redis.xrevrange(STREAM, count=count) or ())[::-1])

    async def bounds(self) -> Bounds:
        """What the stream holds now."""
        try:
            info = await self._redis.xinfo_stream(STREAM)
        except ResponseError:  # no such key: nothing was ever published
            return Bounds(START, START, trimmed=False)
        if not info["length"]:
            return Bounds(START, START, trimmed=info["entries-added"] > 0)
        first, last = (position_of(info[name][0].decode()) for name in ("first-entry", "last-entry"))
        return Bounds(first, last, trimmed=info["entries-added"] > info["length"])

    def listen(self) -> Any:
        """A new pub/sub connection; whoever takes it closes it."""
        return self._redis.pubsub()

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()
