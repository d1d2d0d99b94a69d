"""What a judge said, and what we make of it. Pure: nothing here runs anything.

A judge that could not be had or run, or that looked at less than it should, has said nothing: never green.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infra.operate.judges.rules import Rule

Outcome = Literal["passed", "failed", "not run"]


@dataclass(frozen=True)
class Finding:
    """One thing that a judge minds; `id` is the judge's own."""

    id: str
    text: str


@dataclass(frozen=True)
class Measured:
    """What a judge said of one thing: a score in its own unit if it gives one, and how much it looked at."""

    checks: int
    findings: tuple[Finding, ...] = ()
    score: float | None = None
    note: str = ""  # what else belongs to the number, such as a grade
    version: str = ""

    @property
    def said(self) -> str:
        """The number that is published: `86`, or `2 findings`."""
        return self._told([f"{len(self.findings)} findings" if self.score is None else f"{self.score:g}"])

    def said_by(self, rule: Rule) -> str:
        """The same where a rule waives some findings: `0 findings (15 waived)`."""
        if self.score is not None:
            return self.said
        left = len(unwaived(rule, self.findings))
        waived = len(self.findings) - left
        return self._told([f"{left} findings", *([f"{waived} waived"] if waived else [])])

    def _told(self, parts: list[str]) -> str:
        number, *rest = [*parts, *([self.note] if self.note else [])]
        return f"{number} ({', '.join(rest)})" if rest else number


@dataclass(frozen=True)
class Missing:
    """Why a judge said nothing."""

    reason: str

    @property
    def said(self) -> str:
        """In the table, in place of a number."""
        return "not run"


Word = Measured | Missing


@dataclass(frozen=True)
class Verdict:
    """One row: what was said of a thing as it was handed over and as we made it; whether that is enough."""

    judge: str
    outcome: Outcome
    threshold: str
    stock: Word | None  # None: there is nothing such as a stock one
    ours: Word
    said: str  # of ours, as it is compared
    reasons: tuple[str, ...]  # of a failure; of what was not run

    @property
    def row(self) -> dict[str, object]:
        """For programs: the fields of `gad judges --json`."""
        heard = self.ours if isinstance(self.ours, Measured) else None
        return {
            "judge": self.judge,
            "outcome": self.outcome,
            "threshold": self.threshold,
            "stock": None if self.stock is None else self.stock.said,
            "ours": self.said,
            "checks": heard.checks if heard else 0,
            "version": heard.version if heard else "",
            "findings": [f"{each.id}: {each.text}" for each in heard.findings] if heard else [],
            "reasons": list(self.reasons),
        }


def judged(judge: str, rule: Rule, ours: Word, stock: Word | None = None) -> Verdict:
    """Compare what was said with what is demanded."""
    outcome, reasons = _compared(rule, ours)
    said = ours.said_by(rule) if isinstance(ours, Measured) else ours.said
    return Verdict(judge, outcome, rule.threshold, stock, ours, said, reasons)


def _compared(rule: Rule, ours: Word) -> tuple[Outcome, tuple[str, ...]]:
    if isinstance(ours, Missing):
        return "not run", (ours.reason,)
    if ours.checks < rule.min_checks:
        return "not run", (f"made {ours.checks} checks, {rule.min_checks} are the least that count",)
    if rule.version and ours.version != rule.version:
        return "not run", (f"is version {ours.version or 'unknown'}, the numbers are for {rule.version}",)
    reasons = []
    if rule.min_score is not None and (ours.score is None or ours.score < rule.min_score):
        reasons.append(f"{ours.said} is below {rule.min_score:g}")
    if rule.max_findings is not None:
        left = unwaived(rule, ours.findings)
        if len(left) > rule.max_findings:
            reasons += [f"{each.id}: {each.text}" for each in left]
    return ("failed" if reasons else "passed"), tuple(reasons)


def unwaived(rule: Rule, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Findings that nobody has given a reason for."""
    return tuple(each for each in findings if not any(waiver.covers(each.id) for waiver in rule.waivers))


def is_green(verdicts: list[Verdict], allowed_missing: frozenset[str]) -> bool:
    """Whether each judge is content; one that did not run only if it was named. No judge is no proof."""
    return bool(verdicts) and all(
        each.outcome == "passed" or (each.outcome == "not run" and each.judge in allowed_missing)
        for each in verdicts
    )
