"""Ports for tests: of loopback, and free until whoever asked for one listens on it."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

# Below the range that the kernel hands out for connections (from 32768, ip(7)): a port out of that one may be
# the near end of somebody's connection before the test's own server has started.
FIRST, LAST = 20_000, 32_000


def free_port() -> int:
    """A TCP port of loopback that nothing has now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many, each another."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = random.randint(FIRST, LAST)  # noqa: S311 - nothing secret
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    return found
