"""Duties that one process of a stack does for all: the one that holds an advisory lock, and is in rotation.

The lock lives on a connection of its own: when the process or its connection dies, another takes over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import asyncpg

from app.health.checks import PROBE_ERRORS
from app.rotation import Rotation

ADVISORY_LOCK = 0x6761645F6C64  # any number, the same for ever
RETRY_S = 1.0  # chosen: how long the duties may rest when their process is gone
COMMAND_S = 10.0  # a duty is short; this ends the wait when the server is gone

Connection = asyncpg.Connection[asyncpg.Record]
log = logging.getLogger("gad.leader")


@dataclass(frozen=True, kw_only=True)
class Duty:
    """Something done every `every_s` seconds at least, and at once when `channel` is notified."""

    name: str
    every_s: float
    run: Callable[[Connection], Awaitable[None]]
    channel: str | None = None


class Leader:
    """Tries for ever to become and stay the one that does the duties."""

    def __init__(self, url: str, duties: Sequence[Duty], *, name: str, rotation: Rotation) -> None:
        self._url = url
        self._duties = tuple(duties)
        self._name = name
        self._rotation = rotation
        self.leads = False

    async def run(self) -> None:
        """Cancel to stop; the lock goes with the connection."""
        while True:
            with suppress(*PROBE_ERRORS):
                if self._rotation.is_in():
                    await self._lead()
            self.leads = False
            await asyncio.sleep(RETRY_S)

    async def _lead(self) -> None:
        connection = await asyncpg.connect(
            self._url,
            timeout=COMMAND_S,
            command_timeout=COMMAND_S,
            server_settings={"application_name": self._name},
        )
        try:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", ADVISORY_LOCK):
                return
            self.leads = True
            log.info("leads")
            await self._do_duties(connection)
        finally:
            connection.terminate()

    async def _do_duties(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        due = dict.fromkeys((duty.name for duty in self._duties), loop.time())
        woken = asyncio.Event()

        def wake(duty: Duty) -> None:
            due[duty.name] = loop.time()
            woken.set()

        for duty in self._duties:
            if duty.channel is not None:
                await connection.add_listener(duty.channel, lambda *_, duty=duty: wake(duty))
        while self._rotation.is_in():
            woken.clear()
            for duty in self._duties:
                if due[duty.name] <= loop.time():
                    due[duty.name] = loop.time() + duty.every_s
                    await self._do(duty, connection)
            rest = max(0.0, min(due.values()) - loop.time())
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), min(rest, RETRY_S))

    async def _do(self, duty: Duty, connection: Connection) -> None:
        try:
            await duty.run(connection)
        except PROBE_ERRORS:
            if connection.is_closed():
                raise  # another connection, perhaps another leader
            log.exception("duty failed", extra={"fields": {"duty": duty.name}})
        except Exception:
            log.exception("duty failed", extra={"fields": {"duty": duty.name}})
