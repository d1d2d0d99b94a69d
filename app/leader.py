"""Duties that one process of a stack does for all: the one that holds an advisory lock, and is in rotation.

The lock lives on a connection of its own: when the process or its connection dies, another takes over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from app.health.checks import PROBE_ERRORS
from app.rotation import Rotation

RETRY_S = 1.0  # chosen: how long the duties may rest when their process is gone
COMMAND_S = 10.0  # a duty is short; this ends the wait when the server is gone

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # generic for the type checker alone
log = logging.getLogger("gad.leader")


@dataclass(frozen=True, kw_only=True)
class Duty:
    """Something done every `every_s` seconds at least, and when `channel` is notified: at once, but with
    `rest_s` seconds after the time before, so that what comes in quick succession is done together."""

    name: str
    every_s: float
    run: Callable[[Connection], Awaitable[None]]
    channel: str | None = None
    rest_s: float = 0.0


class Leader:
    """Tries for ever to become and stay the one that does the duties.

    `lock` is any number, the same for ever: leaders of different locks do not know each other.
    """

    def __init__(self, url: str, duties: Sequence[Duty], *, lock: int, name: str, rotation: Rotation) -> None:
        self._url = url
        self._duties = tuple(duties)
        self._lock = lock
        self._name = name
        self._rotation = rotation
        self.leads = False

    async def run(self) -> None:
        """Cancel to stop; the lock goes with the connection."""
        while True:
            try:
                if self._rotation.is_in():
                    await self._take_part()
            except PROBE_ERRORS:
                pass  # readiness tells of the database; here only the next try counts
            except Exception:
                log.exception("leader failed")  # it must never end: nobody would do the duties
            finally:
                self.leads = False
            await asyncio.sleep(RETRY_S)

    async def _take_part(self) -> None:
        connection = await asyncpg.connect(
            self._url,
            timeout=COMMAND_S,
            command_timeout=COMMAND_S,
            server_settings={"application_name": self._name},
        )
        try:
            # One connection asks again and again: a new one each second would cost the server more.
            while self._rotation.is_in():
                if await connection.fetchval("SELECT pg_try_advisory_lock($1)", self._lock):
                    self.leads = True
                    log.info("leads", extra={"fields": {"name": self._name}})
                    await self._do_duties(connection)
                    return
                await asyncio.sleep(RETRY_S)
        finally:
            connection.terminate()

    async def _do_duties(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        due = dict.fromkeys((duty.name for duty in self._duties), loop.time())
        rested = dict(due)
        woken = asyncio.Event()

        def wake(duty: Duty) -> None:
            due[duty.name] = max(loop.time(), rested[duty.name])
            woken.set()

        for duty in self._duties:
            if duty.channel is not None:
                await connection.add_listener(duty.channel, lambda *_, duty=duty: wake(duty))
        connection.add_termination_listener(lambda *_: woken.set())
        while self._rotation.is_in() and not connection.is_closed():
            woken.clear()
            for duty in self._duties:
                if due[duty.name] <= loop.time():
                    due[duty.name] = loop.time() + duty.every_s
                    await self._do(duty, connection)
                    rested[duty.name] = loop.time() + duty.rest_s
                    due[duty.name] = max(due[duty.name], rested[duty.name])  # notified meanwhile
            rest = max(0.0, min(due.values(), default=RETRY_S) - loop.time())
            if not connection.is_closed():
                # Not wait_for: before Python 3.12 it loses a cancellation that comes with a wake-up.
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(rest, RETRY_S)):
                        await woken.wait()

    async def _do(self, duty: Duty, connection: Connection) -> None:
        try:
            await duty.run(connection)
        except PROBE_ERRORS as error:
            if connection.is_closed():
                raise  # another connection, perhaps another leader
            # The database is going or busy, which is no bug; the duty comes again.
            log.warning("duty put off", extra={"fields": {"duty": duty.name, "kind": type(error).__name__}})
        except Exception:
            log.exception("duty failed", extra={"fields": {"duty": duty.name}})
