from __future__ import annotations

import pytest

from app.errors import StartError
from app.policy import OPTIONAL, RULES, verify

COMPLETE = [(method, path, True) for method, path in RULES]


def test_the_complete_table_passes_with_and_without_the_optional_routes() -> None:
    verify(COMPLETE)
    verify([each for each in COMPLETE if each[:2] not in OPTIONAL])


@pytest.mark.parametrize(
    ("routes", "fact"),
    [
        ([*COMPLETE, ("GET", "/api/v1/new", True)], "GET /api/v1/new has no rule"),
        ([*COMPLETE, ("PUT", "/api/v1/officers", True)], "PUT /api/v1/officers has no rule"),
        (COMPLETE[:-1], f"{COMPLETE[-1][0]} {COMPLETE[-1][1]} has a rule in app/policy.py and no route"),
        (
            [(method, path, False) for method, path, _ in COMPLETE if "catalogue" in path]
            + [each for each in COMPLETE if "catalogue" not in each[1]],
            "GET /api/v1/catalogue has a rule that nothing enforces",
        ),
    ],
)
def test_a_gap_stops_the_start(routes: list[tuple[str, str, bool]], fact: str) -> None:
    with pytest.raises(StartError) as caught:
        verify(routes)
    assert caught.value.fact.startswith(fact)
