"""What a long step shows: a bar on a terminal, a line now and then in a log. Always on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HEARTBEAT_S = 30.0  # chosen: often enough that nobody takes a CI log for hung

Advance = Callable[[str], None]


@dataclass(frozen=True)
class Reporter:
    """Tells a person what is going on; a quiet one says nothing."""

    quiet: bool = False

    def note(self, text: str) -> None:
        """One line, at once."""
        if not self.quiet:
            print(f"· {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def steps(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Yield a function to call with the name of each small step as it is done."""
        if self.quiet or not sys.stderr.isatty():
            yield self._heartbeat(title, total)
        else:
            with _bar(title, total) as advance:
                yield advance

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


@contextlib.contextmanager
def _bar(title: str, total: int | None) -> Iterator[Advance]:
    from rich import progress as rich  # noqa: PLC0415 - a quarter of the time of a set-up that only looks
    from rich.console import Console  # noqa: PLC0415

    columns = (
        rich.SpinnerColumn(),
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TextColumn("[dim]{task.fields[step]}", markup=True),
    )
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, step="")
        yield lambda step: bar.update(task, advance=1, step=step[-50:].replace("[", r"\["))
