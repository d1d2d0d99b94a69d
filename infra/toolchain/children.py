"""Child processes of a plugin: none may outlive it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence


class Children:
    """The processes a plugin started; `end` ends them all. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    @contextlib.contextmanager
    def start(
        self,
        command: Sequence[str],
        *,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = None,
        stderr: int | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A child in this process's group, ended when the block is left.

        The group is shared so that the engine's last resort, killing the plugin's group, reaches it too.
        """
        with _interrupts_blocked():
            child = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=env)
        with child:
            with self._lock:
                self._running.add(child)
            try:
                yield child
            finally:
                _end(child)
                with self._lock:
                    self._running.discard(child)

    def end(self) -> None:
        """End every child that still runs."""
        with self._lock:
            running = [*self._running]
        for child in running:
            _end(child)


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """The engine interrupts the whole group to stop a plugin. A blocked signal is inherited, so a child does
    not answer with a KeyboardInterrupt traceback: this process ends it instead."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(child: subprocess.Popen[bytes], grace_s: float = 2.0) -> None:
    """Ask, then force. `grace_s` in seconds: less than the five the engine gives the plugin itself."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
