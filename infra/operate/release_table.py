"""Releases for people: what one came to, step by step, and those that were."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from infra.operate.deploy import Report
from infra.operate.ledger import Release
from infra.operate.status import short_digest

STYLES = {"released": "green", "asked back": "yellow", "taken back": "red", "failed": "red", "cut off": "red"}


def report(told: Report) -> RenderableType:
    """Each step with its seconds; the verdict is the caller's last line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    for step in told.steps:
        table.add_row(step.name, step.done, f"{step.seconds:.1f}")
    return Group(table, Text()) if told.steps else Text()


def verdict(told: Report) -> str:
    """One line: what serves now, and how long it took."""
    digest = short_digest(told.image) if told.image else "nothing"
    match told.outcome:
        case "nothing to do":
            return f"nothing to release: {digest} is live in slot {told.slot} ({told.seconds:.1f} s)"
        case "released":
            return f"released {digest}: slot {told.slot} is in rotation ({told.seconds:.1f} s)"
        case "failed":
            serving = f"slot {told.slot} serves {digest}" if told.slot else "no slot is in rotation"
            return f"{short_digest(told.wanted)} was not released; {serving} ({told.seconds:.1f} s)"


def ledger(releases: Sequence[Release]) -> RenderableType:
    """The newest first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("when (UTC)", "version", "slot", "outcome", "by"):
        table.add_column(column, no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for each in releases:
        table.add_row(
            f"{each.at:%Y-%m-%d %H:%M:%S}",
            each.digest,
            each.slot,
            Text(each.outcome, style=STYLES[each.outcome]),
            each.by,
            "" if each.seconds is None else str(each.seconds),
            Text(each.why),
        )
    return table
