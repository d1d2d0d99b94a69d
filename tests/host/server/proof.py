"""How a control is proven: what the controls file expects, what the server shows, and where it shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from infra.host.controls import Control
from infra.operate.verify import Source

from .facts import Facts

# What is looked at, in words for people → a text, a number, a list: what JSON can hold.
Table = Mapping[str, Any]


@dataclass(frozen=True)
class Proof:
    """One control on one server."""

    expected: Table
    found: Table
    source: Source = "value"

    @property
    def sentences(self) -> list[str]:
        """A sentence for each difference; none if the control holds."""
        if not self.expected:
            return ["nothing was looked at"]
        return [
            f"{what}: {_said(self.found.get(what))}, wanted is {_said(wanted)}"
            for what, wanted in self.expected.items()
            if not _meets(self.found.get(what), wanted)
        ]

    def demand(self, control: str) -> None:
        """Raises AssertionError that says what differs, if something does."""
        if said := self.sentences:
            raise AssertionError("\n".join(f"{control}: {each}" for each in said))


@dataclass(frozen=True)
class AtLeast:
    """A number that may be higher."""

    number: int

    def __str__(self) -> str:
        return f"at least {self.number}"


Judge = Callable[[Facts, Control], Proof]
JUDGES: dict[str, Judge] = {}


def proves(*patterns: str) -> Callable[[Judge], Judge]:
    """Make a function the judge of controls: ids, or `topic.*`. An id of its own prevails over a pattern."""

    def decorate(judge: Judge) -> Judge:
        for pattern in patterns:
            if pattern in JUDGES:
                raise ValueError(f"{pattern} has two judges")
            JUDGES[pattern] = judge
        return judge

    return decorate


def judge_of(control: str) -> Judge | None:
    """Who judges a control; the longest pattern that fits, None without one. Pure."""
    if control in JUDGES:
        return JUDGES[control]
    fitting = [pattern for pattern in JUDGES if fnmatchcase(control, pattern)]
    return JUDGES[max(fitting, key=len)] if fitting else None


def prove(facts: Facts, control: Control) -> Proof:
    """Compare a control with what a server said. Raises AssertionError if there is nobody to judge it.

    An answer in a form that the judge does not know is a difference, and no reason to stop.
    """
    judge = judge_of(control.id)
    if judge is None:
        raise AssertionError(f"{control.id}: nobody looks at it")
    try:
        return judge(facts, control)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        return Proof({"what the server says": "legible"}, {"what the server says": f"not legible ({error})"})


def plain(table: Table) -> dict[str, Any]:
    """A table as JSON can hold it, sorted by its words. Pure."""
    found: dict[str, Any] = json.loads(json.dumps(table, sort_keys=True, default=str))
    return found


def _meets(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, AtLeast):
        return isinstance(found, int) and found >= wanted.number
    return bool(found == wanted)


def _said(value: Any) -> str:
    if value is None:
        return "not there"
    if isinstance(value, AtLeast):
        return str(value)
    if value in ("", [], {}):
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
