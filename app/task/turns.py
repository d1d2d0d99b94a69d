"""Emergencies wait for each other here, not at the pool: it stays open for everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import Unavailable

AT_ONCE = 3  # chosen: of the pool's five connections; two are left to everybody else
WAIT_S = 6.0  # chosen: with the pool's 2 s still under the 10 s a request may take


class Turns:
    """The line of one process; first come, first served."""

    def __init__(self, *, at_once: int = AT_ONCE, wait_s: float = WAIT_S) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._wait_s = wait_s

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold one of the places. Raises Unavailable if none was free in time."""
        try:
            await asyncio.wait_for(self._free.acquire(), self._wait_s)
        except TimeoutError:
            raise Unavailable from None
        try:
            yield
        finally:
            self._free.release()
