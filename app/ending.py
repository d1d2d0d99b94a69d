"""How the process ends: each step has a limit, and whatever did not keep it is named in the log.

Nothing here trusts what it ends: a loop may not let itself be cancelled, a store may not answer a goodbye, a
thread may not return. asyncio.Runner and the interpreter would wait for each of them without a limit.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

# After SIGTERM: so long 503 on /health/ready while everything is still served (four of the proxy's 250 ms
# checks), then no new connections and at most DRAIN_S for open requests, after which they are cut off.
LAME_DUCK_S = 1.0
DRAIN_S = 20  # chosen: twice what a request may take, and what a slow socket may linger
CANCEL_S = 1.0  # chosen: no loop waits for anything it would not be woken from; the process ends without it
AGAIN_S = 0.2  # chosen: far longer than a loop's own cleaning up
CLOSE_S = 1.0  # chosen: a goodbye is one round trip, and a store that hears none ends the connection itself
LAST_S = 1.0  # chosen: what remains is the interpreter's own end, some 50 ms
TURNS_S = 0.5  # chosen: uvicorn looks each 0.1 s, and readiness is asked once more
# All of it, from SIGTERM on: under the 25 s of the product contract, section 14, and the container's 30 s.
END_S = LAME_DUCK_S + DRAIN_S + TURNS_S + CANCEL_S + CLOSE_S + LAST_S
LOG_S = 0.3  # how long the last line may take to be written: the pipe may be what hangs

log = logging.getLogger("gad.ending")


@asynccontextmanager
async def background(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Each of `loops` never ends by itself; all are cancelled at the end of the block."""
    tasks = [asyncio.create_task(each) for each in loops]
    try:
        yield
    finally:
        await _cancel(tasks)


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    # Again and again: before Python 3.12 asyncio.wait_for loses a cancellation that comes in the moment in
    # which what it waits for is done, and redis-py sends each command inside of one.
    left = set(tasks)
    until = time.monotonic() + CANCEL_S
    while left and time.monotonic() < until:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)
    _name_late("loops", left, CANCEL_S)


async def close(*closings: Coroutine[Any, Any, None]) -> None:
    """Close all side by side; one that fails, or takes longer than `CLOSE_S`, is named and left alone."""
    tasks = [asyncio.create_task(each) for each in closings]
    done, late = await asyncio.wait(tasks, timeout=CLOSE_S)
    for task in late:
        task.cancel()
    _name_late("closings", late, CLOSE_S)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("closing failed", extra={"fields": {"name": _name_of(task)}}, exc_info=error)


def _name_late(what: str, tasks: Iterable[asyncio.Task[None]], within_s: float) -> None:
    names = sorted(map(_name_of, tasks))
    if names:
        log.error("not ended in time", extra={"fields": {what: names, "within_s": within_s}})


class Deadline:
    """When the process is gone, whatever still runs; it was asked to stop, so the exit code is 0.

    A thread of its own keeps it, as the loop may be what hangs. One for each process.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._moments: SimpleQueue[float] = SimpleQueue()
        threading.Thread(target=self._keep, name="deadline", daemon=True).start()

    def within(self, seconds: float) -> None:
        """From now on; it is never moved to a later moment. A signal's handler may call it."""
        self._moments.put(time.monotonic() + seconds)

    def _keep(self) -> None:
        at = self._moments.get()
        with suppress(Empty):
            while True:
                at = min(at, self._moments.get(timeout=max(0.0, at - time.monotonic())))
        last = threading.Timer(LOG_S, os._exit, (0,))
        last.daemon = True
        last.start()
        tasks = sorted(map(_name_of, asyncio.all_tasks(self._loop)))
        log.error("cut off", extra={"fields": {"tasks": tasks, "threads": _places()}})
        os._exit(0)


def _name_of(task: asyncio.Task[Any]) -> str:
    return str(getattr(task.get_coro(), "__qualname__", task.get_name()))


def _places() -> dict[str, str]:
    """Each thread that the interpreter would wait for, and the function it is in."""
    frames = sys._current_frames()
    return {
        thread.name: frames[thread.ident].f_code.co_qualname
        for thread in threading.enumerate()
        if not thread.daemon and thread.ident in frames
    }
