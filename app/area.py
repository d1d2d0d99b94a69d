"""Parts of the earth that callers ask for: around a point, or between four sides.

Pure geometry, in degrees and metres, WGS 84, and how a statement says it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_M = 100_000  # as far as anything looks around a point (product contract, section 4)
METRES_PER_DEGREE = 111_195.0  # of latitude, on the sphere of the mean radius (6,371,009 m)
SPHERE_SLACK = 1.01  # more than distances on the sphere differ from those on the spheroid (0.6 %)

POINT = "CAST(ST_SetSRID(ST_MakePoint(CAST(:lon AS float8), CAST(:lat AS float8)), 4326) AS geography)"


class Unclear(ValueError):
    """Half of a circle or of a box was given, or both."""


@dataclass(frozen=True)
class Circle:
    """Everything within `radius_m` metres of a point."""

    lat: float
    lon: float
    radius_m: float


@dataclass(frozen=True)
class Box:
    """Between two parallels and two meridians; `west` > `east` crosses the date line."""

    south: float
    west: float
    north: float
    east: float

    @property
    def width(self) -> float:
        """Degrees of longitude, 0 to 360."""
        return self.east - self.west + (360.0 if self.west > self.east else 0.0)

    def around(self) -> Circle:
        """A circle that holds the box, whether distances are those of a sphere or of the spheroid."""
        lat = (self.south + self.north) / 2
        lon = (self.west + self.width / 2 + 180) % 360 - 180
        if self.width > 180:  # then a corner is not what is farthest away
            return Circle(lat, lon, 180 * METRES_PER_DEGREE * SPHERE_SLACK)
        # Of all points the corner nearest to the equator is.
        corner = min((self.south, self.north), key=abs)
        farthest = _distance_m(lat, corner, self.width / 2)
        return Circle(lat, lon, farthest * SPHERE_SLACK + 1)  # more than 0 for a box without a size


def asked_area(
    circle: tuple[float | None, float | None, float | None],
    box: tuple[float | None, float | None, float | None, float | None],
) -> Circle | Box | None:
    """The circle (lat, lon, radius_m) or the box (south, west, north, east) of a query; None: neither.

    Raises Unclear.
    """
    match (_whole(circle), _whole(box)):
        case (None, None):
            return None
        case (list() as given, None):
            return Circle(*given)
        case (None, list() as given):
            return Box(*given)
    raise Unclear


def _whole(sides: tuple[float | None, ...]) -> list[float] | None:
    given = [side for side in sides if side is not None]
    if given and len(given) < len(sides):
        raise Unclear
    return given or None


def in_box(place: str) -> str:
    """The condition that `place`, a column of points, lies within the box of the parameters."""
    lat, lon = f"ST_Y({place}::geometry)", f"ST_X({place}::geometry)"
    return f"""{lat} BETWEEN CAST(:south AS float8) AND CAST(:north AS float8)
        AND CASE WHEN CAST(:west AS float8) <= CAST(:east AS float8)
            THEN {lon} BETWEEN CAST(:west AS float8) AND CAST(:east AS float8)
            ELSE {lon} >= CAST(:west AS float8) OR {lon} <= CAST(:east AS float8) END"""


def _distance_m(lat1: float, lat2: float, lon: float) -> float:
    """On the sphere, between two points `lon` degrees apart."""
    a, b, c = math.radians(lat1), math.radians(lat2), math.radians(lon)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(c / 2) ** 2
    return 2 * math.degrees(math.asin(min(1.0, math.sqrt(half)))) * METRES_PER_DEGREE
