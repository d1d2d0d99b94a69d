"""A measured number beside its target. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


class Figure(BaseModel):
    """What was measured; `target` is the largest value that is well, none where nobody set one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    measured: float
    unit: str  # s, ms, MB, or what is counted
    target: float | None = None
    detail: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        return None if self.target is None else self.measured <= self.target


def missed(figures: Sequence[Figure]) -> list[Figure]:
    """The figures that are beyond their targets."""
    return [figure for figure in figures if figure.is_met is False]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` (0 < share ≤ 1) of all do not exceed. Raises ValueError without values.

    Nearest rank: always a value that was measured, never one between two.
    """
    if not values or not 0 < share <= 1:
        raise ValueError("a percentile needs values, and a share above 0 and up to 1")
    return sorted(values)[math.ceil(share * len(values)) - 1]
