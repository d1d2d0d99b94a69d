"""A verification report for people: failures first, with what to do; then one line per subject."""

from __future__ import annotations

from itertools import groupby

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from infra.operate.verify import Check, Report

DETAIL_LINES = 6


def render(report: Report, *, every_check: bool = False) -> RenderableType:
    """The whole report; `every_check` lists each check, not only their number."""
    parts: list[RenderableType] = [_failure(group) for group in _alike(report.failures)]
    if report.checks:
        parts.append(_subjects(report, every_check=every_check))
    return Group(*parts)


def verdict(report: Report) -> str:
    """The last line: what was found, or that nothing was."""
    total, failed = len(report.checks), len(report.failures)
    if total == 0:
        return f"not verified: no check of stack {report.stack} was made"
    if failed:
        return f"not as declared: {failed} of {total} checks of stack {report.stack} failed"
    return f"as declared: all {total} checks of stack {report.stack} passed in {report.seconds:.1f} s"


def _alike(failures: tuple[Check, ...]) -> list[tuple[Check, ...]]:
    """Failures of one subject that say the same thing belong together: one cause, one place."""
    groups: dict[tuple[str, str, str], list[Check]] = {}
    for check in failures:
        # A failed check speaks for itself; one that could not be made only repeats why.
        key = (check.subject, check.detail, check.check if check.outcome == "failed" else "")
        groups.setdefault(key, []).append(check)
    return [tuple(group) for group in groups.values()]


def _failure(group: tuple[Check, ...]) -> RenderableType:
    first = group[0]
    what = first.check if len(group) == 1 else f"{len(group)} checks could not be made"
    lines = first.detail.splitlines() or ["no detail"]
    shown = lines[:DETAIL_LINES] + (["…"] if len(lines) > DETAIL_LINES else [])
    heading = Text.assemble((f"{first.outcome} ", "bold red"), (first.subject, "bold"), f"  {what}")
    remedy = Text.assemble(("remedy: ", "bold"), first.remedy)
    return Padding(
        Group(heading, Padding(Text("\n".join(shown), style="dim"), (0, 0, 0, 2)), remedy), (0, 0, 1, 0)
    )


def _subjects(report: Report, *, every_check: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("subject", no_wrap=True)
    table.add_column("passed", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("check" if every_check else "failed")
    ordered = sorted(report.checks, key=lambda check: check.subject)
    for subject, group in groupby(ordered, key=lambda check: check.subject):
        checks = list(group)
        passed = sum(check.outcome == "passed" for check in checks)
        style = "green" if passed == len(checks) else "red"
        failed = [check.check for check in checks if check.outcome != "passed"]
        table.add_row(
            subject,
            Text(f"{passed}/{len(checks)}", style=style),
            f"{sum(check.seconds for check in checks):.1f}",
            "" if every_check else Text("\n".join(dict.fromkeys(failed)), style="red"),
        )
        for check in checks if every_check else []:
            mark = Text(check.outcome, style="green" if check.outcome == "passed" else "red")
            table.add_row("", mark, f"{check.seconds:.1f}", check.check)
    return table
