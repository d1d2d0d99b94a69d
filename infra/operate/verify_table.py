"""A verification report for people: failures first, with what to do; then one line per subject."""

from __future__ import annotations

from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from infra.operate.verify import Check, Report

DETAIL_LINES = 6


def render(report: Report, *, every_check: bool = False) -> RenderableType:
    """The whole report; `every_check` lists each check, not only their number."""
    parts: list[RenderableType] = [_prevented(report, group) for group in _by_cause(report.failures)]
    parts += [_failure(check) for check in report.failures if check.outcome == "failed"]
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


def _by_cause(failures: tuple[Check, ...]) -> list[list[Check]]:
    """Checks that could not be made, by what prevented them: one cause is told once."""
    causes: dict[str, list[Check]] = {}
    for check in failures:
        if check.outcome != "failed":
            causes.setdefault(check.detail, []).append(check)
    return list(causes.values())


def _prevented(report: Report, group: list[Check]) -> Text:
    subjects = ", ".join(sorted({check.subject for check in group}))
    return Text.assemble(
        ("not checked ", "bold red"),
        (_shortened(group[0].detail), "bold"),
        f"\n  {len(group)} checks of {subjects} could not be made\n",
        ("remedy: ", "bold"),
        f"bring it up with `gad up {report.stack}`, and verify again\n",
    )


def _failure(check: Check) -> Text:
    detail = "".join(f"  {line}\n" for line in _shortened(check.detail).splitlines())
    return Text.assemble(
        ("failed ", "bold red"),
        (check.subject, "bold"),
        f"  {check.check}\n",
        (detail, "dim"),
        ("remedy: ", "bold"),
        f"{check.remedy}\n",
    )


def _shortened(detail: str) -> str:
    lines = detail.splitlines() or ["no detail"]
    return "\n".join(lines[:DETAIL_LINES] + (["…"] if len(lines) > DETAIL_LINES else []))


def _subjects(report: Report, *, every_check: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("subject", no_wrap=True)
    table.add_column("passed", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    if every_check:
        table.add_column("check")
    ordered = sorted(report.checks, key=lambda check: check.subject)
    for subject, group in groupby(ordered, key=lambda check: check.subject):
        checks = list(group)
        passed = sum(check.outcome == "passed" for check in checks)
        style = "green" if passed == len(checks) else "bold red"
        seconds = f"{sum(check.seconds for check in checks):.1f}"
        table.add_row(
            Text(subject, style="" if passed else style), Text(f"{passed}/{len(checks)}", style), seconds
        )
        for check in checks if every_check else []:
            mark = Text(check.outcome, style="green" if check.outcome == "passed" else "red")
            table.add_row("", mark, f"{check.seconds:.1f}", check.check)
    return table
