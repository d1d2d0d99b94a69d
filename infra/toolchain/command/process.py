"""Run a command on this machine, in a process group of its own that can be ended as a whole."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from infra.toolchain.command.capture import Capture
from infra.toolchain.command.waiting import wait

CHECKOUT = Path(__file__).resolve().parents[3]
# Seconds a command has to end by itself; the engine waits five for the whole plugin.
GRACE_S = 2.0


def run_process(
    argv: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdin: str | None,
    capture: Capture,
    cancelled: threading.Event,
    timeout_s: float,
) -> str | None:
    """Run to the end and return why it failed, or None. `timeout_s` 0 is no limit.

    Like the official provider, it ends when the outputs are closed, so a background process that keeps them
    open is waited for. Cancelling ends the whole group.
    """
    deadline = time.monotonic() + timeout_s if timeout_s else None
    try:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env={**inherited(os.environ), **environment},
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return _start_failure(error, argv, folder)
    workers = [
        threading.Thread(target=_read, args=("stdout", process.stdout, capture)),
        threading.Thread(target=_read, args=("stderr", process.stderr, capture)),
    ]
    if stdin:
        workers.append(threading.Thread(target=_write, args=(process.stdin, stdin.encode())))
    with process:
        for worker in workers:
            worker.start()
        stopped = wait(partial(_has_ended, process), workers, cancelled, deadline)
        if stopped is not None:
            _end_group(process)
        for worker in workers:
            worker.join()
    capture.close()
    return stopped or describe_exit(process.returncode)


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What a command takes over: everything but the import path that the plugin itself was started with."""
    kept = dict(environment)
    paths = [path for path in kept.pop("PYTHONPATH", "").split(os.pathsep) if path not in ("", str(CHECKOUT))]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)} if paths else kept


def describe_exit(code: int) -> str | None:
    """`exit status 3`, `signal: killed`, or None for success."""
    if code == 0:
        return None
    if code > 0:
        return f"exit status {code}"
    return f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"


def _start_failure(error: OSError | ValueError, argv: Sequence[str], folder: Path) -> str:
    if not folder.is_dir():
        return f"chdir {folder}: no such directory"
    return f"cannot start {argv[0]}: {getattr(error, 'strerror', None) or error}"


def _has_ended(process: subprocess.Popen[bytes], within_s: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(within_s)
    return process.returncode is not None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask the group, then force it. The group may live on when its leader is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)


def _read(name: str, stream: IO[bytes], capture: Capture) -> None:
    while chunk := os.read(stream.fileno(), 65536):
        capture.feed(name, chunk)


def _write(stream: IO[bytes], data: bytes) -> None:
    # A command need not read what it is given.
    with contextlib.suppress(BrokenPipeError), stream:
        stream.write(data)
