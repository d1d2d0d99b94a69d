"""A running update on the screen: one line for each thing that changes, and nothing for the rest."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.status import Status

from infra.operate.events import Diagnostic, Event, change_of, parse

POLL_S = 0.1
COLOURS = {"+": "green", "~": "yellow", "±": "yellow", "-": "red", "=": "cyan"}


@dataclass(frozen=True)
class Step:
    """One change that an update has made, and how many seconds it took."""

    name: str
    done: str
    seconds: float


@dataclass
class Progress:
    """Follows the engine's event log while the process runs; collects its errors."""

    console: Console
    errors: list[Diagnostic] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    _begun: dict[str, float] = field(default_factory=dict)

    def follow(self, process: subprocess.Popen[str], log: Path) -> None:
        """Show events until the process has ended and its log is read."""
        with self.console.status("reading the stack …") as status:
            for event in parse(_lines(log, process)):
                self._show(event, status)

    def _show(self, event: Event, status: Status) -> None:
        if event.begun is not None:
            about = event.begun.metadata
            self._begun.setdefault(about.urn, time.monotonic())
            if about.op not in ("same", "read"):
                status.update(f"{about.op} {about.name} …")
        change = change_of(event)
        if change is not None and event.ended is not None:
            took_s = time.monotonic() - self._begun.get(event.ended.metadata.urn, time.monotonic())
            keys = f"  [{', '.join(change.keys)}]" if change.keys else ""
            self.console.print(
                f"{change.sign} {change.name} {change.done} ({took_s:.1f} s){keys}",
                style=COLOURS[change.sign],
                markup=False,
            )
            self.steps.append(Step(change.name, change.done, round(took_s, 2)))
        if event.diagnostic is not None and event.diagnostic.severity == "error":
            self.errors.append(event.diagnostic)


def _lines(log: Path, process: subprocess.Popen[str]) -> Iterator[str]:
    """Complete lines of a file that another process is writing."""
    while not log.exists():
        if process.poll() is not None:
            return
        time.sleep(POLL_S)
    with log.open(encoding="utf-8") as file:
        rest = ""
        while True:
            running = process.poll() is None
            chunk = file.read()
            if chunk:
                *lines, rest = (rest + chunk).split("\n")
                yield from lines
            elif not running:
                return
            else:
                time.sleep(POLL_S)
