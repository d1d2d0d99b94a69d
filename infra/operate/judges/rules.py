"""config/judges.yaml: what each judge must say, how much it must look at, and what is waived."""

from __future__ import annotations

from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from infra.errors import Exit, GadError

FILE = Path("config") / "judges.yaml"


class Waiver(BaseModel):
    """Why a judge is not followed in one thing, until a day on which somebody must decide again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str  # the judge's own; `*` at its end stands for anything
    reason: str = Field(min_length=20)
    expires: date

    def covers(self, finding: str) -> bool:
        """Whether it is about this finding."""
        return fnmatchcase(finding, self.id)


class Rule(BaseModel):
    """What one judge must say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str = Field(min_length=10)
    version: str = ""  # where no lock of ours pins it
    min_checks: int = Field(ge=1)  # fewer, and it did not look
    min_score: float | None = None
    max_findings: int | None = None
    waivers: tuple[Waiver, ...] = ()

    @model_validator(mode="after")
    def _demands_something(self) -> Self:
        if self.min_score is None and self.max_findings is None:
            raise ValueError("a judge without min_score and max_findings is never heard")
        return self

    @property
    def threshold(self) -> str:
        """As the table has it."""
        parts = [] if self.min_score is None else [f">= {self.min_score:g}"]
        return ", ".join(parts + ([] if self.max_findings is None else [f"{self.max_findings} findings"]))


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    judges: dict[str, Rule] = Field(min_length=1)


def load(root: Path, *, today: date) -> dict[str, Rule]:
    """The rules by judge, in the order of the table. Raises GadError for a wrong one or an expired waiver."""
    try:
        found = _Document.model_validate(yaml.safe_load((root / FILE).read_text(encoding="utf-8"))).judges
    except (yaml.YAMLError, ValidationError) as error:
        raise GadError(f"{FILE}: {error}", remedy="correct the file", exit_code=Exit.USAGE) from None
    late = [
        f"{judge} {waiver.id} ({waiver.expires})"
        for judge, rule in found.items()
        for waiver in rule.waivers
        if waiver.expires < today
    ]
    if late:
        raise GadError(
            f"{FILE}: the waiver has expired of {', '.join(late)}",
            remedy="follow the judge, or decide again and state the reason and a new day",
            exit_code=Exit.USAGE,
        )
    return found
