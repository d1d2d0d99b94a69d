"""How a build tells what it does: live lines on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Reporter(Protocol):
    """What a build step may say. Every call may come from another thread."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def step(self, name: str, text: str) -> None:
        """What `name` is doing now."""

    def done(self, name: str, text: str) -> None:
        """`name` is finished."""


class PlainReporter:
    """Beginnings and ends as lines; steps are in the log file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun: set[str] = set()

    def say(self, text: str) -> None:
        """Print the line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def step(self, name: str, text: str) -> None:
        """Print the first step of an image only."""
        if name not in self._begun:
            self._begun.add(name)
            self.say(f"{name}: {text}")

    def done(self, name: str, text: str) -> None:
        """Print the end."""
        self.say(f"{name}: {text}")


class LiveReporter:
    """One moving line per image that is being worked on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def say(self, text: str) -> None:
        """Print above the moving lines."""
        self._progress.console.print(text, highlight=False, markup=False)

    def step(self, name: str, text: str) -> None:
        """Show the newest step of an image."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=None, step=text)
        self._progress.update(self._tasks[name], step=text)

    def done(self, name: str, text: str) -> None:
        """Turn the moving line into one that stays."""
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))
        self.say(f"{name}: {text}")


@contextmanager
def reporting() -> Iterator[Reporter]:
    """A reporter that fits where stderr goes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainReporter(console)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[step]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield LiveReporter(progress)
