"""The user's cache folder: what is expensive to get and equal for every checkout lives here."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path


def cache_root(base: os._Environ[str] | dict[str, str] | None = None) -> Path:
    """`$XDG_CACHE_HOME/grupo-gad`, or `~/.cache/grupo-gad`; a relative value is ignored, as XDG demands."""
    variables = os.environ if base is None else base
    configured = Path(variables.get("XDG_CACHE_HOME", ""))
    home = Path(variables.get("HOME") or Path.home())
    return (configured if configured.is_absolute() else home / ".cache") / "grupo-gad"


@contextlib.contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold `path` exclusively; `on_wait` is called once when somebody else holds it.

    The kernel drops the lock when its holder dies, so a killed build blocks nobody.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
