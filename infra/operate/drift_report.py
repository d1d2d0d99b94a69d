"""Differences between what is declared and what is there: one line for each, whoever found it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

# preview: Pulumi's refresh and preview; deploy: pyinfra's dry run; checks: the suite of `gad verify`;
# survey: a look at what neither controls on a server.
Source = Literal["preview", "deploy", "checks", "survey"]

# Said where a thing is compared as a whole, and where its value may be a secret.
AS_DECLARED = "as declared"
OTHERWISE = "otherwise"


class Difference(BaseModel):
    """One thing that is not as declared. `subject` and `aspect` name it; two sources name it alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str  # `server`, the role of a container, `volume redis`
    aspect: str  # `memory`, `environment`, `SSH server | Write sshd_config`
    found_by: tuple[Source, ...]
    expected: str
    found: str
    remedy: str

    @property
    def line(self) -> str:
        """All but the remedy, in one line."""
        by = ", ".join(self.found_by)
        return f"{self.subject}  {self.aspect}: {self.found}; expected: {self.expected}  ({by})"


class DriftReport(BaseModel):
    """All differences of one stack, sorted; the same differences give the same text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    sources: tuple[Source, ...]  # that were asked
    differences: tuple[Difference, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs; a source that could not be asked counts as a difference."""
        return not self.differences


def merge(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """One difference for each subject and aspect, sorted by them; the words are those that say most.

    A value is worth more than "as declared" or "otherwise", a longer list of sources nothing. Of two
    that say something the earlier source's words are taken.
    """
    kept: dict[tuple[str, str], Difference] = {}
    for each in sorted(found, key=_order):
        key = (each.subject, each.aspect)
        known = kept.get(key)
        kept[key] = each if known is None else _joined(known, each)
    return tuple(kept[key] for key in sorted(kept))


def _joined(known: Difference, other: Difference) -> Difference:
    says_more = known.found == OTHERWISE and other.found != OTHERWISE
    words = other if says_more else known
    return words.model_copy(update={"found_by": tuple(sorted({*known.found_by, *other.found_by}))})


def _order(each: Difference) -> tuple[str, ...]:
    return (each.subject, each.aspect, *each.found_by, each.found, each.expected, each.remedy)


def one_line(text: str, *, longest: int = 160) -> str:
    """A text with single spaces and no line break, cut at `longest` characters."""
    words = " ".join(text.split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def not_compared(source: Source, fact: str, remedy: str) -> Difference:
    """A source that could not be asked: nothing is known of what it looks at."""
    return Difference(
        subject="not compared",
        aspect=one_line(fact),
        found_by=(source,),
        expected="an answer",
        found="none",
        remedy=one_line(remedy),
    )
