"""Many clients of `/ws` in one loop: what each received, what it lost or got twice, and how late it came.

A frame is read where it lies, so that a thousand clients cost a core less than the server they measure. A
message to be counted holds `n` (0, 1, 2, … without a hole) and `sent` (seconds since the epoch).
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import ssl
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import orjson

_COUNTED = re.compile(rb"\bn\W{1,4}(\d+)\W+sent\W{1,4}(\d+\.\d+)")
OPENING = 50  # handshakes under way at once
MASK = b"\0\0\0\0"  # RFC 6455 wants a client's frames masked; nobody's cache is poisoned by a load test


@dataclass
class Tally:
    """What all clients of a run have seen together. `lost` and `doubled` count messages."""

    received: int = 0
    lost: int = 0
    doubled: int = 0
    gaps: int = 0
    delays_s: array[float] = field(default_factory=lambda: array("d"))
    closed: Counter[int] = field(default_factory=Counter)

    def delay_ms(self, share: float) -> float:
        """The delay that `share` of the messages did not exceed; NaN without messages."""
        if not self.delays_s:
            return float("nan")
        ordered = sorted(self.delays_s)
        return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


class LoadClient(asyncio.Protocol):
    """One client; it answers pings and remembers the last message it saw, over any number of connections."""

    def __init__(self, tally: Tally, token: str, topics: Sequence[str]) -> None:
        self._tally = tally
        self.token = token
        self._topics = list(topics)
        self._buffer = b""
        self._is_open = False
        self._transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.last_id: str | None = None
        self.last = -1
        self.host = "localhost"
        self.returns_at = 0.0  # `time.monotonic()`; a server that leaves said when it wants to see us again

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)  # TCP or TLS; uvloop's are no subclasses
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /ws HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: gad.v1\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take whole frames, keep the rest."""
        buffer = self._buffer + data if self._buffer else data
        if not self._is_open:
            head, found, buffer = buffer.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._end(int(head.split(b" ", 2)[1]))
                return
            self._is_open = True
            self._begin()
        at, size = 0, len(buffer)
        while size - at >= 2:
            length, start = buffer[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if size < start + length:
                break
            self._take(buffer[at] & 0x0F, buffer[start : start + length])
            at = start + length
        self._buffer = buffer[at:]

    def connection_lost(self, _error: Exception | None) -> None:
        """It ended without a word."""
        self._end(1006)

    def say(self, **message: object) -> None:
        """Send a message."""
        payload = orjson.dumps(message)
        size = len(payload)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
        if self._transport is not None:
            self._transport.write(head + MASK + payload)

    def drop(self) -> None:
        """Go without a word, as a phone without a network does."""
        if self._transport is not None:
            self._transport.abort()

    def again(self) -> LoadClient:
        """The same client on its next connection."""
        other = LoadClient(self._tally, self.token, self._topics)
        other.last_id, other.last, other.host = self.last_id, self.last, self.host
        return other

    def _begin(self) -> None:
        resume = {} if self.last_id is None else {"last_id": self.last_id}
        self.say(type="auth", token=self.token, **resume)
        if self._topics:
            self.say(type="subscribe", topics=self._topics)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 8:
            self._end(int.from_bytes(payload[:2], "big"))
            return
        counted = _COUNTED.search(payload)
        if counted is not None:
            self._count(int(counted[1]), float(counted[2]))
            self.last_id = payload[7 : payload.index(b'"', 7)].decode()  # {"id":"…
            return
        kind = orjson.loads(payload)["type"]
        if kind == "ping":
            self.say(type="pong")
        elif kind == "replay_gap":
            self._tally.gaps += 1
        elif kind == "reconnect":
            self.returns_at = time.monotonic() + orjson.loads(payload)["data"]["after_ms"] / 1000
        elif kind == ("subscribed" if self._topics else "welcome") and not self.ready.done():
            self.ready.set_result(None)
        if kind == "welcome" and self.last_id is None:
            self.last_id = orjson.loads(payload)["data"]["last_id"]

    def _count(self, number: int, sent: float) -> None:
        tally = self._tally
        tally.received += 1
        tally.delays_s.append(time.time() - sent)
        if number <= self.last:
            tally.doubled += 1
            return
        if self.last >= 0:
            tally.lost += number - self.last - 1
        self.last = number

    def _end(self, code: int) -> None:
        if self.gone.done():
            return
        self._tally.closed[code] += 1
        self.gone.set_result(code)
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"closed with {code} before it was ready"))
            self.ready.exception()  # whoever waits sees it; nobody has to
        if self._transport is not None:
            self._transport.close()


async def open_client(client: LoadClient, url: str, *, tls: ssl.SSLContext | None = None) -> LoadClient:
    """Connect and wait until it hears its topics. Raises OSError."""
    parts = urlsplit(url)
    client.host, host = parts.netloc, parts.hostname or "localhost"
    port = parts.port or (443 if tls else 80)
    await asyncio.get_running_loop().create_connection(
        lambda: client, host, port, ssl=tls, server_hostname=host if tls else None
    )
    async with asyncio.timeout(30):
        await client.ready
    return client


async def open_clients(clients: Sequence[LoadClient], url: str, *, tls: ssl.SSLContext | None = None) -> None:
    """Connect all of them, `OPENING` at a time. Raises OSError."""
    turns = asyncio.Semaphore(OPENING)

    async def open_one(client: LoadClient) -> None:
        async with turns:
            await open_client(client, url, tls=tls)

    await asyncio.gather(*(open_one(client) for client in clients))
