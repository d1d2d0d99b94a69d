"""Follows the stream for this process: woken over pub/sub, looking each second anyway, never giving up."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

from app import metrics
from app.cache import CACHE_ERRORS
from app.stream import PAGE, WAKE, Stream
from app.ws.hub import RECENT, Hub

POLL_S = 1.0
BACKOFF_S = (0.05, 0.25, 0.5, 1.0)  # chosen: waits between tries to reach Redis; the last one for ever

log = logging.getLogger("gad.ws")


class Reader:
    """Brings the hub what is new."""

    def __init__(self, stream: Stream, hub: Hub) -> None:
        self._stream = stream
        self._hub = hub
        self._has_begun = False
        self._failures = 0

    async def run(self) -> None:
        """Cancel to stop."""
        while True:
            try:
                await self._follow()
            except CACHE_ERRORS as error:
                self._failures += 1
                if self._failures == 2:  # once is a connection that was closed, twice is a Redis that is away
                    log.warning("the stream is away", extra={"fields": {"reason": type(error).__name__}})
                    self._hub.degrade()
            except Exception:
                self._failures += 1
                log.exception("reading the stream failed")
            await asyncio.sleep(BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1])

    async def _follow(self) -> None:
        listener = self._stream.listen()
        try:
            await listener.subscribe(WAKE)  # first, so that nothing comes unheard between a look and this
            if self._has_begun:
                self._hub.resume(await self._stream.bounds())
            else:
                self._hub.begin(await self._stream.newest(RECENT))
                self._has_begun = True
            while True:
                await self._catch_up()
                if self._failures:
                    self._failures = 0
                    self._hub.restore()
                metrics.ws_heartbeat.set(time.time())
                await _wait(listener)
        finally:
            with suppress(*CACHE_ERRORS):
                await listener.aclose()

    async def _catch_up(self) -> None:
        while True:
            entries = await self._stream.after(self._hub.position)
            await self._hub.take(entries)
            if len(entries) < PAGE:
                return


async def _wait(listener: Any) -> None:
    """Until somebody wakes us, or `POLL_S`; wake-ups that have come together count as one."""
    woken = await listener.get_message(ignore_subscribe_messages=True, timeout=POLL_S)
    while woken is not None:
        woken = await listener.get_message(ignore_subscribe_messages=True, timeout=0)
