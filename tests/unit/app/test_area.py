from __future__ import annotations

import pytest

from app.area import METRES_PER_DEGREE, Box, Circle, Unclear, asked_area

NO_CIRCLE, NO_BOX = (None,) * 3, (None,) * 4
CIRCLE, BOX = (0.0, 0.0, 5.0), (0.0, 0.0, 1.0, 0.0)


def test_a_whole_circle_or_box_is_what_was_asked_for() -> None:
    assert asked_area(CIRCLE, NO_BOX) == Circle(*CIRCLE)
    assert asked_area(NO_CIRCLE, BOX) == Box(*BOX)
    assert asked_area(NO_CIRCLE, NO_BOX) is None


@pytest.mark.parametrize(
    ("circle", "box"),
    [
        (CIRCLE, BOX),
        ((0.0, 0.0, None), NO_BOX),
        ((None, None, 5.0), NO_BOX),
        (NO_CIRCLE, (0.0, 0.0, 1.0, None)),
        ((None, 0.0, None), BOX),
        (CIRCLE, (None, 0.0, None, None)),
    ],
)
def test_half_of_one_or_both_is_unclear(
    circle: tuple[float | None, float | None, float | None],
    box: tuple[float | None, float | None, float | None, float | None],
) -> None:
    with pytest.raises(Unclear):
        asked_area(circle, box)


@pytest.mark.parametrize(
    ("west", "east", "width", "middle"),
    [
        (-1.0, 1.0, 2.0, 0.0),
        (179.0, -179.0, 2.0, -180.0),
        (170.0, -178.0, 12.0, 176.0),
        (5.0, 5.0, 0.0, 5.0),
        (180.0, -180.0, 0.0, -180.0),
        (-180.0, 180.0, 360.0, 0.0),
    ],
)
def test_a_box_may_cross_the_date_line(west: float, east: float, width: float, middle: float) -> None:
    box = Box(-1.0, west, 1.0, east)
    assert (box.width, box.around().lat, box.around().lon) == (width, 0.0, middle)


@pytest.mark.parametrize(
    ("box", "least_deg"),
    [
        (Box(10.0, 5.0, 10.0, 5.0), 0.0),
        (Box(-90.0, 0.0, 90.0, 0.0), 90.0),
        (Box(0.0, -90.0, 0.0, 90.0), 90.0),
        (Box(-60.0, -90.0, 60.0, 90.0), 90.0),
        (Box(0.0, -91.0, 0.0, 91.0), 91.0),
        (Box(-80.0, -180.0, 80.0, 180.0), 180.0),  # its middle is half a world away from its sides
    ],
)
def test_the_circle_around_a_box_reaches_its_farthest_point(box: Box, least_deg: float) -> None:
    assert box.around().radius_m > 1.006 * least_deg * METRES_PER_DEGREE
