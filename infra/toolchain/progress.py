"""What a long step shows: a bar on a terminal, a line now and then in a log. Always on stderr."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

HEARTBEAT_S = 30.0  # chosen: often enough that nobody takes a CI log for hung

Advance = Callable[[str], None]


@dataclass(frozen=True)
class Reporter:
    """Tells a person what is going on; a silent one is `Reporter(Console(quiet=True))`."""

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def note(self, text: str) -> None:
        """One line, at once."""
        self.console.print(f"· {text}", markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def steps(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Yield a function to call with the name of each small step as it is done."""
        if not self.console.is_terminal:
            yield self._heartbeat(title, total)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[step]}"),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=total, step="")
            yield lambda step: progress.update(task, advance=1, step=step[-50:])

    def _heartbeat(self, title: str, total: int | None) -> Advance:
        self.note(f"{title} …")
        started = last = time.monotonic()
        done = 0

        def advance(step: str) -> None:
            nonlocal last, done
            done += 1
            now = time.monotonic()
            if now - last >= HEARTBEAT_S:
                last = now
                of = f" of {total}" if total else ""
                self.note(f"{title}: {done}{of} after {now - started:.0f} s ({step[-50:]})")

        return advance
