"""The controls as a page for people, docs/controls.md: the same text for the same file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from infra.host.controls import SYSTEMS, Control, Controls, Value, load

HEAD = """# Controls of a server

Made by `gad host controls` from `config/controls.yaml`; a change there changes this page and the server.
LB: linux-baseline, SB: ssh-baseline, DB: docker-bench-security, DC: debian-cis, Ly: Lynis, SA: ssh-audit.
A waiver says why a demand is not met, and its last day.
"""
SHOWN = 6  # items of a list or mapping; the file has the rest


def page(root: Path) -> str:
    """The page of a checkout. Raises GadError for a wrong control or an expired waiver."""
    return table(load(root, today=datetime.now(UTC).date()))


def table(controls: Controls) -> str:
    """The whole page. Pure."""
    parts = [HEAD]
    for topic, group in groupby(controls.controls, key=lambda each: each.id.partition(".")[0]):
        parts.append(f"\n## {topic}\n\n| Control | Value | Why | Whose demand |\n|---|---|---|---|\n")
        parts += [_row(each) for each in group]
    return "".join(parts)


def _row(control: Control) -> str:
    why = control.why
    if control.applies_to != SYSTEMS:
        why += f"; {', '.join(control.applies_to)} only"
    if control.breaks:
        why += f". Breaks: {control.breaks}"
    demands = ", ".join(control.refs)
    if control.waiver:
        demands += f". Waived until {control.waiver.expires}: {control.waiver.reason}"
    return f"| `{control.id}` | {_cell(_value(control.value))} | {_cell(why)} | {_cell(demands)} |\n"


def _value(value: Value) -> str:
    if isinstance(value, Mapping):
        return _some([f"{name}: {_value(each)}" for name, each in value.items()])
    if isinstance(value, tuple):
        return _some([str(each) for each in value])
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else f"{value}" or "nothing"


def _some(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return (", ".join(items[:SHOWN]) + more) if items else "nothing"


def _cell(text: str) -> str:
    for sign in ("\\", "|", "*", "<", "_", "`"):
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
