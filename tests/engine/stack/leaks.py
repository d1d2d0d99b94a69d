"""Looking for the values of a stack's secrets where they must not be."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.engine.stack.checkout import Checkout


def needles_of(checkout: Checkout) -> dict[str, bytes]:
    """Each secret value, and its base64 at every alignment, under the name to print."""
    shown = json.loads(checkout.pulumi("config", "--show-secrets", "--json").succeeded().out)
    secrets: dict[str, str] = json.loads(shown["grupo-gad:secrets"]["value"])
    assert len(secrets) >= 8
    found = {}
    for name, value in secrets.items():
        found[name] = value.encode()
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + value.encode())
            # The ends depend on what stands beside the value.
            found[f"{name} in base64 ({shift})"] = encoded[4 * (shift > 0) : -4]
    return found


def leaks(text: bytes, needles: Mapping[str, bytes]) -> list[str]:
    """Names of the secrets that are in `text`; never the values, this ends up in logs."""
    return [name for name, needle in needles.items() if needle in text]


@dataclass
class ProcessWatch:
    """What was found in the process list, and how often it was looked at."""

    found: list[str] = field(default_factory=list)
    looks: int = 0


@contextmanager
def process_watch(needles: Mapping[str, bytes]) -> Iterator[ProcessWatch]:
    """Look at the command line and environment of every process of this machine, as often as possible."""
    ended, watch = threading.Event(), ProcessWatch()

    def look() -> None:
        while not ended.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                for part in ("cmdline", "environ"):
                    try:
                        watch.found.extend(leaks((process / part).read_bytes(), needles))
                    except OSError:
                        continue
            watch.looks += 1

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield watch
    finally:
        ended.set()
        watcher.join()
