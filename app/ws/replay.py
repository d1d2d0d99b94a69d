"""What a client missed: the stream's entries after the last one it saw, in order, then live without a seam.

A replay goes on until it stands where the hub stands; in that very moment, without a pause in between, the
client's topics become live. So nothing is buffered, lost or sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from app.cache import CACHE_ERRORS
from app.stream import Entry, Position, Stream
from app.ws.client import Client
from app.ws.hub import Hub
from app.ws.messages import frame

CHUNK = 64  # entries written before the client must have read them; far below its queue's limit
READERS = 2  # replays that read from Redis at once: chosen, so that many who come back leave time for others
CATCH_UP_S = 3.0  # how long this process may be behind what another one has shown: it looks each second


def topic_for(entry: Entry, asked: Mapping[str, Position | None], had: Mapping[str, Position]) -> str | None:
    """The topic under which a replay sends `entry`; None: it is sent otherwise, or is not asked for.

    `had`: where what was sent of each topic begins. `asked`: the same for the topics asked for, before they
    were; None for those that are new.
    """
    if any(topic in had and had[topic] < entry.position for topic in entry.topics):
        return None
    for topic in entry.topics:
        if topic in asked:
            begins = asked[topic]
            if begins is None or entry.position <= begins:
                return topic
    return None


class Replay:
    """Brings clients from what they saw to what is live."""

    def __init__(self, hub: Hub, stream: Stream) -> None:
        self._hub = hub
        self._stream = stream
        self._readers = asyncio.Semaphore(READERS)

    async def follow(self, client: Client, topics: Sequence[str], since: Position) -> None:
        """Send what came to `topics` after `since`, then make them live; `replay_gap` if that is not known.

        One at a time for each client: the caller holds `client.replaying`.
        """
        if not await self._is_whole(since):
            client.tell("replay_gap", reason="trimmed")
            self._hub.add(client, topics, self._hub.position)
            return
        asked = {topic: client.topics.get(topic) for topic in topics}
        cursor = since
        while cursor < self._hub.position:
            page = self._hub.recent(cursor, CHUNK)
            if page is None:
                page = await self._read(cursor)
            if not page:  # Redis is away, or has lost its data just now
                client.tell("replay_gap", reason="unavailable")
                cursor = self._hub.position
                break
            sent = 0
            for entry in page:
                topic = topic_for(entry, asked, client.topics)
                if topic is not None:
                    client.push(frame(entry.message(topic)))
                    sent += 1
            self._hub.count_sent(sent)
            cursor = page[-1].position
            if sent and not await client.drain():
                return
        # Nothing was awaited since `cursor` met the hub's position.
        self._hub.add(client, topics, since)

    async def _read(self, cursor: Position) -> list[Entry]:
        """A page from Redis, up to where the hub stands; later ones will come live."""
        async with self._readers:
            try:
                page = await self._stream.after(cursor, CHUNK)
            except CACHE_ERRORS:
                return []
        return [entry for entry in page if entry.position <= self._hub.position]

    async def _is_whole(self, since: Position) -> bool:
        """Whether every entry after `since` is still there."""
        if self._hub.recent(since, 1) or since == self._hub.position:
            return True
        try:
            if (await self._stream.bounds()).has_gap_after(since):
                return False
        except CACHE_ERRORS:
            return False
        # Another process has shown what this one has not read yet.
        until = asyncio.get_running_loop().time() + CATCH_UP_S
        while self._hub.position < since:
            if asyncio.get_running_loop().time() > until:
                return False
            await asyncio.sleep(0.02)
        return True
