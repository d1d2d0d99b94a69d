"""Verdicts for people: a table on the screen, and the same one in the runbook."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from infra.errors import GadError
from infra.operate.judges.verdict import Verdict

RUNBOOK = Path("docs") / "runbook" / "judges.md"
BEGIN, END = "<!-- verdicts: written by `gad judges --write` -->", "<!-- end of verdicts -->"
HEAD = ("Judge", "Stock", "Hardened", "Threshold", "Verdict")
COLOURS = {"passed": "green", "failed": "red", "not run": "yellow"}


def render(verdicts: list[Verdict]) -> RenderableType:
    """The table, then what each judge that is not content has to say."""
    table = Table(box=None, pad_edge=False)
    for title in HEAD:
        table.add_column(title)
    for each in verdicts:
        *cells, outcome = _cells(each)
        table.add_row(*cells, Text(outcome, style=COLOURS[each.outcome]))
    parts: list[RenderableType] = [table]
    for each in verdicts:
        parts += [Text(f"{each.judge}: {reason}") for reason in each.reasons]
    return Group(*parts)


def markdown(verdicts: list[Verdict]) -> str:
    """The table in Markdown; nothing in it changes from run to run but what was measured."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(_cells(each) for each in verdicts)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def written(text: str, verdicts: list[Verdict]) -> str:
    """The runbook with this table in its place. Raises GadError if it has no place for it."""
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise GadError(f"{RUNBOOK} has no place for the table", remedy=f"put {BEGIN} and {END} into it")
    return f"{before}{BEGIN}\n{markdown(verdicts)}{END}{after}"


def write(root: Path, verdicts: list[Verdict]) -> None:
    """Put the table into the runbook. Raises GadError."""
    file = root / RUNBOOK
    file.write_text(written(file.read_text(encoding="utf-8"), verdicts), encoding="utf-8")


def _cells(verdict: Verdict) -> tuple[str, ...]:
    stock = "-" if verdict.stock is None else verdict.stock.said
    return (verdict.judge, stock, verdict.said, verdict.threshold, verdict.outcome)
