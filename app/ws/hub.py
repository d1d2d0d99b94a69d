"""Every socket of this process, and the fan-out of each event to those who may hear of it.

Nothing in the fan-out waits: an event is one frame for each topic, written to each receiver's socket in one
turn of the loop. Whoever cannot take it lags in a queue of their own (app/ws/client.py).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from app import metrics
from app.auth.sessions import Revoked
from app.auth.tokens import Principal
from app.stream import START, Bounds, Entry, Position
from app.ws.client import Client
from app.ws.messages import NO_AUTH, RESTARTS, SILENT, frame, told
from app.ws.topics import MAY_END_OWNERSHIP, SYSTEM, hangs_on_ownership

RECENT = 2000  # entries kept for replays: chosen, some 40 s at 50 a second and about 2 MiB
SENT_A_TURN = 2000  # chosen: about 10 ms of writing, then sockets empty and requests are served
RENEW_S = 30.0  # product contract, section 6
AFTER_MS = 5000  # product contract, section 6: the longest of the random waits
Suspended = Callable[[str, list[Client], Position], None]

log = logging.getLogger("gad.ws")


@dataclass(frozen=True)
class Pace:
    """Seconds between pings, and of silence until a peer counts as gone."""

    ping_s: float
    silence_s: float


class Hub:
    """`position`: the last entry of the stream that was offered to everybody here."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._index: dict[str, set[Client]] = {}
        self._recent: list[Entry] = []
        self._turn = 0
        self.clients: set[Client] = set()
        self.position: Position = START
        self.is_degraded = False
        self.sent = 0
        self.closed: Counter[str] = Counter()
        self.on_suspended: Suspended = lambda _topic, _clients, _before: None

    # --- who is here

    def enter(self, client: Client) -> None:
        """Count a socket, before it said who it is."""
        self.clients.add(client)
        metrics.ws_connections.set(len(self.clients))

    def leave(self, client: Client, code: int) -> None:
        """Forget a socket that ended with `code`."""
        label = str(code) if str(code) in metrics.WS_CODES else "other"
        self.closed[label] += 1
        metrics.ws_closed.labels(label).inc()
        self.remove(client, [*client.topics])
        self.clients.discard(client)
        metrics.ws_connections.set(len(self.clients))

    def add(self, client: Client, topics: Iterable[str], since: Position) -> None:
        """From now on every event of `topics` is sent; what came after `since` is, too."""
        if client not in self.clients:
            return  # it ended while its replay was under way
        for topic in topics:
            client.topics[topic] = min(since, client.topics.get(topic, since))
            self._index.setdefault(topic, set()).add(client)

    def remove(self, client: Client, topics: Iterable[str]) -> None:
        """Send nothing of `topics` any more."""
        for topic in topics:
            client.topics.pop(topic, None)
            receivers = self._index.get(topic)
            if receivers is not None:
                receivers.discard(client)
                if not receivers:
                    del self._index[topic]

    def topic_count(self) -> int:
        """Topics that somebody here hears."""
        return len(self._index)

    def revoke(self, revoked: Revoked) -> None:
        """Close whoever's session ended."""
        for client in self.clients:
            if client.principal is not None and revoked.covers(client.principal):
                client.close(NO_AUTH)

    # --- what the reader brings (app/ws/reader.py)

    def begin(self, entries: Sequence[Entry]) -> None:
        """The last entries, when the stream is seen for the first time: history for replays, no news."""
        self._recent = list(entries)
        self.position = entries[-1].position if entries else START
        self.tell_gap()  # to whoever came while Redis was away: nobody knows what they missed

    def resume(self, bounds: Bounds) -> None:
        """The stream is reached again; if it is not the one that was left, everybody missed something."""
        if not bounds.has_gap_after(self.position):
            return
        log.warning("the stream has a gap")
        self._recent = []
        if self.position > bounds.last:
            self.position = START  # another stream: all of it is new
        self.tell_gap()

    def tell_gap(self) -> None:
        """Everybody here has to read anew what they show."""
        self._tell_everybody("replay_gap", {"reason": "trimmed"})

    async def take(self, entries: Sequence[Entry]) -> None:
        """Offer news to everybody, in order."""
        sent = 0
        for entry in entries:
            sent += self._offer(entry)
            if sent >= SENT_A_TURN:
                sent = 0
                await asyncio.sleep(0)
        if entries:
            metrics.ws_fanout_lag.observe(max(0.0, time.time() - _moment(entries[-1])))

    def _offer(self, entry: Entry) -> int:
        before, self.position = self.position, entry.position
        self._recent.append(entry)
        if len(self._recent) >= 2 * RECENT:
            del self._recent[:RECENT]
        if entry.type in MAY_END_OWNERSHIP:
            self._suspend(entry, before)
        self._turn += 1
        turn, sent = self._turn, 0
        for topic in entry.topics:
            receivers = self._index.get(topic)
            if not receivers:
                continue
            data = frame(entry.message(topic))
            for client in receivers:
                if client.turn != turn:
                    client.turn = turn
                    client.push(data)
                    sent += 1
        self.count_sent(sent)
        return sent

    def count_sent(self, events: int) -> None:
        """Events that were given to sockets, one for each receiver."""
        self.sent += events
        metrics.ws_sent.inc(events)

    def _suspend(self, entry: Entry, before: Position) -> None:
        """Whoever hears of this as its owner is asked for anew before they hear it (app/ws/admission.py)."""
        for topic in entry.topics:
            unsure = [
                client
                for client in self._index.get(topic, ())
                if client.principal is not None and hangs_on_ownership(client.principal, topic)
            ]
            for client in unsure:
                self.remove(client, [topic])
                client.suspended.add(topic)
            if unsure:
                self.on_suspended(topic, unsure, before)

    def recent(self, after: Position, count: int) -> list[Entry] | None:
        """Up to `count` entries that followed; None if not all of them are kept here."""
        if after >= self.position:
            return []
        if not self._recent or after < self._recent[0].position:
            return None
        start = bisect_right(self._recent, after, key=lambda entry: entry.position)
        return self._recent[start : start + count]

    def degrade(self) -> None:
        """Redis is lost: no event comes until it returns."""
        if not self.is_degraded:
            self.is_degraded = True
            self._tell_everybody("system.degraded", {"component": "redis"}, SYSTEM)

    def restore(self) -> None:
        """Redis is back."""
        if self.is_degraded:
            self.is_degraded = False
            self._tell_everybody("system.restored", {"component": "redis"}, SYSTEM)

    def _tell_everybody(self, kind: str, data: dict[str, object], topic: str | None = None) -> None:
        made = frame(told(kind, data, topic))
        for client in self.clients:
            if client.principal is not None:
                client.push(made)

    # --- what time brings

    def beat(self) -> None:
        """Each second: ping, and close whoever is silent or without a token."""
        now, today = time.monotonic(), time.time()
        for client in self.clients:
            if client.principal is None or client.closed is not None:
                continue
            if now - client.heard_at >= self._pace.silence_s:
                client.close(SILENT)
                continue
            if now - client.pinged_at >= self._pace.ping_s:
                client.pinged_at = now
                client.tell("ping")
            self._look_at_token(client, client.principal, today)

    def _look_at_token(self, client: Client, principal: Principal, today: float) -> None:
        if today < principal.expires:
            return
        if not client.is_warned:
            client.is_warned = True
            client.tell("auth_expired", renew_s=int(RENEW_S))
        elif today >= principal.expires + RENEW_S:
            client.close(NO_AUTH)

    def send_away(self) -> None:
        """This slot leaves: each client is told when to come back, and goes at that moment."""
        loop = asyncio.get_running_loop()
        for client in self.clients:
            if client.principal is None:
                client.close(RESTARTS)
            elif not client.is_leaving:
                client.is_leaving = True
                after_ms = random.randint(0, AFTER_MS)  # noqa: S311 - it spreads load, it hides nothing
                client.tell("reconnect", after_ms=after_ms)
                loop.call_later(after_ms / 1000, client.close, RESTARTS)


def _moment(entry: Entry) -> float:
    """When an event was committed, about; seconds since the epoch."""
    stamp = str(orjson.loads(entry.rest)["ts"])
    return datetime.fromisoformat(stamp).timestamp()
