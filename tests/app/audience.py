"""Many who listen, somebody who keeps talking, and whether all of it was heard once."""

from __future__ import annotations

import asyncio
import time

from bodies import Caller, new_caller
from served import Served
from sockets import publish

from app.db import Database
from app.main import Process
from infra.operate.ws_load import LoadClient, Tally, open_client

PER_S = 50


class Producer:
    """Commits numbered events at a steady rate, as long as the block lasts."""

    def __init__(self, database: Database, topic: str, per_s: float = PER_S) -> None:
        self._database, self._topic, self._per_s = database, topic, per_s
        self.count = 0
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def __aenter__(self) -> Producer:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        self._is_stopping = True  # not cancelled: a commit that is under way counts
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        began = time.monotonic()
        while not self._is_stopping:
            await publish(self._database, self._topic, n=self.count, sent=round(time.time(), 6))
            self.count += 1
            await asyncio.sleep(max(0.0, began + self.count / self._per_s - time.monotonic()))


def url(api: Served) -> str:
    return f"ws://127.0.0.1:{api.public.base_url.port}/ws"


async def people(process: Process, count: int, level: int = 2) -> list[Caller]:
    return [await new_caller(process, level) for _ in range(count)]


async def until_all_heard(tally: Tally, total: int, *, within_s: float = 10) -> None:
    """Wait for the last message, then a moment longer for one too many."""
    until = time.monotonic() + within_s
    while tally.received < total and time.monotonic() < until:  # noqa: ASYNC110 - it counts by itself
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    assert (tally.received, tally.lost, tally.doubled, tally.gaps) == (total, 0, 0, 0), tally.closed


async def come_back(client: LoadClient, address: str) -> LoadClient:
    await client.gone
    return await open_client(client.again(), address)
