"""Serving the engine as a plugin process: one line with the port, then gRPC until told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc

# The engine's own limit for one message (go/common/util/rpcutil, 400 MiB).
MAX_MESSAGE = 400 * 1024 * 1024
# Seconds between two looks whether the engine is still there: an engine that was killed tells nobody.
ORPHAN_CHECK_S = 1.0


def serve(register: Callable[[grpc.Server], None], stop: Callable[[], None], threads: int = 64) -> int:
    """Serve what `register` adds, on a free loopback port printed as the first line of standard output.

    Returns 0 after SIGINT or SIGTERM (how the engine stops plugins), or when the parent process is gone;
    `stop` is called before, to end what still runs. `threads` bounds concurrent calls; a program, each
    policy pack and each resource operation hold one.
    """
    parent = os.getppid()
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    server = grpc.server(
        ThreadPoolExecutor(max_workers=threads),
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
        ],
    )
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while not told.wait(ORPHAN_CHECK_S):
        if os.getppid() != parent:
            break
    stop()
    server.stop(grace=None)
    return 0
