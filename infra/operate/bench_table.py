"""Measurements for people: each number beside its target."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from infra.operate.bench_figure import Figure, missed


def render(figures: Sequence[Figure]) -> Table:
    """One line for each figure."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what")
    for column in ("measured", "target"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("ok", no_wrap=True)
    for figure in figures:
        what = Text.assemble(figure.what, (f"  {figure.detail}" if figure.detail else "", "dim"))
        target = "-" if figure.target is None else f"≤ {_amount(figure.target, figure.unit)}"
        table.add_row(what, _amount(figure.measured, figure.unit), target, _mark(figure.is_met))
    return table


def verdict(figures: Sequence[Figure]) -> str:
    """The last line: which targets were missed."""
    aimed = [figure for figure in figures if figure.target is not None]
    beyond = missed(figures)
    if not aimed:
        return "not measured: no figure with a target"
    if beyond:
        return f"missed {len(beyond)} of {len(aimed)} targets: {', '.join(figure.what for figure in beyond)}"
    return f"all {len(aimed)} targets met"


def _amount(value: float, unit: str) -> str:
    digits = 0 if value == int(value) else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}".rstrip()


def _mark(is_met: bool | None) -> Text:
    if is_met is None:
        return Text("-", style="dim")
    return Text("yes", style="green") if is_met else Text("no", style="bold red")
