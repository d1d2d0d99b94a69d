"""One connected client: who it is, what it hears, and how much it may lag behind."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

from app import metrics
from app.auth.tokens import Principal
from app.stream import START, Position
from app.ws.messages import TOO_MUCH, frame, told

DRAIN_S = 10.0  # chosen: how long one page of a replay may take to be read
# Chosen: far above what a person's screen says, far below what would cost others.
MESSAGES_BURST = 30
MESSAGES_PER_S = 5.0


class Socket(Protocol):
    """What a client writes to (app/ws/protocol.py)."""

    is_paused: bool
    writable: asyncio.Event

    def write(self, frame: bytes) -> None:
        """Send a whole frame."""

    def end(self, code: int) -> None:
        """Close with `code`."""


class Client:
    """`topics`: for each one the position after which every event was or will be sent.

    `queue` is how many messages may wait for a peer that does not read.
    """

    def __init__(self, socket: Socket, *, queue: int) -> None:
        self._socket = socket
        self._limit = queue
        self._waiting: deque[bytes] = deque()
        self._words = float(MESSAGES_BURST)
        self._spoke_at = time.monotonic()
        self.principal: Principal | None = None
        self.topics: dict[str, Position] = {}
        self.turn = 0  # of the last event it was offered: an event comes once, however many topics match
        self.replaying = asyncio.Lock()
        self.suspended: set[str] = set()  # topics it hears again if the thing is still its own
        self.resume: Position = START  # what it saw last before it came back
        self.resumes_until = 0.0
        self.holds = False  # its replay waits for what it subscribes to
        self.closed: int | None = None
        self.heard_at = self.pinged_at = time.monotonic()
        self.is_warned = False  # that its token expired
        self.is_leaving = False

    def push(self, data: bytes) -> None:
        """Send a frame, or let it wait; a client that lags too far behind is dropped."""
        if self.closed is not None:
            return
        if self._socket.is_paused or self._waiting:
            self._waiting.append(data)
            if len(self._waiting) > self._limit:
                metrics.ws_send_errors.labels("slow").inc(len(self._waiting))
                self._waiting.clear()
                self.close(TOO_MUCH)
            return
        self._socket.write(data)

    def tell(self, kind: str, **data: object) -> None:
        """Send a message that is no event."""
        self.push(frame(told(kind, data)))

    def flush(self) -> None:
        """Called when the peer can take more."""
        while self._waiting and not self._socket.is_paused:
            self._socket.write(self._waiting.popleft())

    async def drain(self) -> bool:
        """Wait until nothing waits; False if the client is gone or too slow for `DRAIN_S`."""
        try:
            async with asyncio.timeout(DRAIN_S):
                while self.closed is None and (self._socket.is_paused or self._waiting):
                    await self._socket.writable.wait()
                    self.flush()
                    self.heard_at = time.monotonic()  # it reads, so it is there
        except TimeoutError:
            metrics.ws_send_errors.labels("slow").inc()
            self.close(TOO_MUCH)
        return self.closed is None

    def close(self, code: int) -> None:
        """Close with `code`; the first one counts."""
        if self.closed is None:
            self.closed = code
            self._socket.end(code)

    def may_speak(self) -> bool:
        """Count a message that came in; False if they are too many."""
        now = self.heard_at = time.monotonic()
        self._words = min(MESSAGES_BURST, self._words + (now - self._spoke_at) * MESSAGES_PER_S) - 1
        self._spoke_at = now
        return self._words >= 0
