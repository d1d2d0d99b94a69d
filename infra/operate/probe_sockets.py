"""People who listen while a stack changes: who was cut off and how soon they were back, what they missed."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from infra.client.failures import ClientError
from infra.client.notices import NOTIFY, Notice
from infra.client.session import Session
from infra.operate.probe_report import Sockets, heard
from infra.operate.ws_load import LoadClient, Tally, open_client, open_clients

PER_SECOND = 5  # chosen: a gap of half a second is seen, and writing costs the stack little
TOPICS = (
    "alerts",
)  # any: one's own notices come by themselves, but who asks for a topic is told it is heard
RETRY_S = 0.2  # chosen: until a client that was not let in tries again
LAST_S = 10.0  # how long the last notice may take before it counts as lost
LINGER_S = 0.5  # chosen: a moment longer, for a notice too many


@dataclass
class Writer:
    """Writes numbered notices to `user` (uuid), in turn, whether or not the API is there."""

    session: Session
    user: str
    sent: int = 0
    _is_stopping: bool = False

    async def run(self) -> None:
        """Until it is told to stop; a notice under way is finished first."""
        while not self._is_stopping:
            await self._write(Notice(users=(self.user,), text=f"n={self.sent} sent={time.time():.6f}"))
            await asyncio.sleep(1 / PER_SECOND)

    def stop(self) -> None:
        """After the notice under way."""
        self._is_stopping = True

    async def reaches(self, count: int) -> None:
        """Wait until so many are sent; the caller bounds for how long."""
        while self.sent < count:  # noqa: ASYNC110 - it counts by itself
            await asyncio.sleep(0.05)

    async def _write(self, notice: Notice) -> None:
        key = uuid4().hex  # the same at each attempt: a number goes out once
        while not self._is_stopping:
            try:
                await self.session.call(NOTIFY, notice, key=key)
            except ClientError:
                await asyncio.sleep(RETRY_S)
            else:
                self.sent += 1
                return


@dataclass
class Follower:
    """A client that comes back as often as it is cut off, with the last id it saw."""

    token: str
    url: str
    tls: ssl.SSLContext | None
    tally: Tally = field(default_factory=Tally)
    closes: Counter[int] = field(default_factory=Counter)  # by code, of connections that had been open
    backs_s: list[float] = field(default_factory=list)  # from each close until it heard again
    is_away: bool = False
    connection: LoadClient = field(init=False)

    def __post_init__(self) -> None:
        self.connection = LoadClient(self.tally, self.token, TOPICS)

    async def run(self) -> None:
        """Follow the connection, once it is open, until this is cancelled."""
        while True:
            code = await asyncio.shield(self.connection.gone)
            left = time.monotonic()
            self.closes[code] += 1
            self.is_away = True
            await self.pause()
            # It spreads those who return; a server that leaves closes when it has passed.
            await asyncio.sleep(max(0.0, self.connection.returns_at - time.monotonic()))
            self.connection = await self._again()
            self.is_away = False
            self.backs_s.append(time.monotonic() - left)

    async def pause(self) -> None:
        """What it does before it comes back: nothing."""

    def renew(self, token: str) -> None:
        """Go on with a fresh token."""
        self.token = token
        if not self.is_away:
            self.connection.say(type="auth", token=token)

    def has_heard(self, count: int) -> bool:
        """Whether the last of so many notices has come."""
        return not self.is_away and self.connection.last >= count - 1

    async def _again(self) -> LoadClient:
        while True:
            client = self.connection.again()
            client.token = self.token
            try:
                return await open_client(client, self.url, tls=self.tls)
            except (OSError, TimeoutError):
                client.drop()
                await asyncio.sleep(RETRY_S)


class Audience:
    """Followers of one writer."""

    def __init__(self, writer: Writer, followers: Sequence[Follower]) -> None:
        self._writer = writer
        self._followers = followers
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Everybody listens before the first notice is written. Raises OSError, TimeoutError."""
        first = self._followers[0]
        try:
            await open_clients([each.connection for each in self._followers], first.url, tls=first.tls)
        except (OSError, TimeoutError):
            await self.leave()
            raise
        self._tasks = [asyncio.create_task(self._writer.run())]
        self._tasks += [asyncio.create_task(each.run()) for each in self._followers]

    @property
    def away(self) -> int:
        """How many are cut off now."""
        return sum(each.is_away for each in self._followers)

    def renew(self, token: str) -> None:
        """Everybody goes on with a fresh token."""
        for each in self._followers:
            each.renew(token)

    async def close(self) -> Sockets:
        """Stop writing, wait for the last notice, and say what was heard."""
        self._writer.stop()
        await asyncio.wait(self._tasks[:1], timeout=LAST_S)
        await self._hear()
        away = self.away
        await self.leave()
        tallies = [each.tally for each in self._followers]
        return heard(
            self._writer.sent,
            received=[each.received for each in tallies],
            doubled=[each.doubled for each in tallies],
            gaps=sum(each.gaps for each in tallies),
            closes=[each.closes for each in self._followers],
            backs_s=[back for each in self._followers for back in each.backs_s],
            away=away,
        )

    async def leave(self) -> None:
        """Go without a word, all of them; nothing happens the second time."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for each in self._followers:
            each.connection.drop()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):  # a fault of ours; that it was cancelled is none
                raise ended

    async def _hear(self) -> None:
        """Wait until everybody has heard the last notice, then a moment longer."""
        until = time.monotonic() + LAST_S
        waiting = list(self._followers)
        while waiting and time.monotonic() < until:
            await asyncio.sleep(0.05)
            waiting = [each for each in waiting if not each.has_heard(self._writer.sent)]
        await asyncio.sleep(LINGER_S)
