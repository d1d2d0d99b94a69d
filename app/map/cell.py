"""Which part of the earth a map shows: pure geometry, in degrees and metres, WGS 84.

What is asked for is rounded to a cell, so that people who look at the same place share an answer: a circle's
centre moves by less than a hundredth of its radius, a box grows by less than a hundredth of its side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from app.area import METRES_PER_DEGREE, Box, Circle

MAX_SPAN = 2.0  # degrees: a box is about as large as the largest circle (product contract, section 4)
ACROSS = 16  # chosen: groups of a map are a sixteenth of it wide, so that they can be told apart


@dataclass(frozen=True)
class Cell:
    """Everything within `radius_m` of a centre and, if there is one, within the box."""

    lat: float
    lon: float
    radius_m: float
    box: Box | None
    is_grouped: bool

    @property
    def key(self) -> str:
        """Names the cell; no two cells have the same."""
        shape = f"{self.lat!r},{self.lon!r},{self.radius_m!r}"
        if self.box is not None:
            shape = f"{self.box.south!r},{self.box.west!r},{self.box.north!r},{self.box.east!r}"
        return f"{shape}{',grouped' if self.is_grouped else ''}"

    @property
    def group_deg(self) -> tuple[float, float]:
        """Width and height of one group, degrees of longitude and latitude; about square on the ground."""
        height = max(2 * self.radius_m / ACROSS / METRES_PER_DEGREE, 1e-6)
        return min(height / max(math.cos(math.radians(self.lat)), 0.01), 90.0), height


def circle(asked: Circle, *, is_grouped: bool = False) -> Cell:
    """The cell of a circle."""
    step = _step(asked.radius_m / METRES_PER_DEGREE)
    lat, lon = _round(asked.lat, step), _round(asked.lon, step)
    return Cell(lat, lon, float(round(asked.radius_m)), None, is_grouped)


def rectangle(box: Box, *, is_grouped: bool = False) -> Cell:
    """The cell of a box, with the circle around it."""
    step = _step(min(box.north - box.south, box.width))
    wide = Box(
        max(_round(box.south, step, math.floor), -90.0),
        max(_round(box.west, step, math.floor), -180.0),
        min(_round(box.north, step, math.ceil), 90.0),
        min(_round(box.east, step, math.ceil), 180.0),
    )
    around = wide.around()
    return Cell(around.lat, around.lon, float(math.ceil(around.radius_m)), wide, is_grouped)


def _step(size_deg: float) -> float:
    """A hundredth of a size, rounded down to a power of ten; degrees."""
    return float(10.0 ** math.floor(math.log10(max(size_deg, 1e-4) / 100)))


def _round(value: float, step: float, to_integer: Callable[[float], int] = round) -> float:
    decimals = round(-math.log10(step))
    # Rounded again: a multiple of 0.001 has noise in its last digits. And -0.0 is another text than 0.0.
    return round(to_integer(round(value / step, 6)) * step, decimals) + 0.0
