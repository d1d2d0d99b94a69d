from __future__ import annotations

import re

import pytest

from app.errors import StartError
from app.policy import OPTIONAL, RULES, Rule, verify

COMPLETE = [(method, path, True) for method, path in RULES]
# Product contract, sections 3 and 4, in its words: a right is given twice or not at all.
RIGHTS = {
    "-": """
        GET /health/live, GET /health/ready, GET /openapi.json, GET /docs, GET /docs/{file}
        POST /auth/login, POST /auth/refresh
    """,
    "1": """
        POST /auth/logout, POST /auth/logout-all, POST /auth/password, POST /auth/reauth
        GET /users/me, PATCH /users/me
        GET /privacy/consents, POST /privacy/consents, DELETE /privacy/consents/{purpose}
        POST /tasks/emergency, GET /catalogue
    """,
    "own": "POST /officers/{officer_id}/position",
    "own/2": """
        GET /tasks, GET /tasks/{task_id}, PATCH /tasks/{task_id}, GET /tasks/{task_id}/history
        POST /tasks/{task_id}/start, POST /tasks/{task_id}/pause
        POST /tasks/{task_id}/resume, POST /tasks/{task_id}/finish
        GET /officers/{officer_id}, PUT /officers/{officer_id}/availability
        GET /officers/{officer_id}/shifts, GET /stats/users/{user_id}
    """,
    "2": """
        POST /tasks, POST /tasks/{task_id}/cancel
        POST /tasks/{task_id}/assignments, DELETE /tasks/{task_id}/assignments/{officer_id}
        GET /officers, GET /officers/nearest
        POST /officers/{officer_id}/shifts, DELETE /officers/{officer_id}/shifts/{shift_id}
        GET /map, GET /stats/team, GET /stats/tasks, POST /notifications
    """,
    "3": """
        GET /health/deep
        GET /users, POST /users, GET /users/{user_id}, PATCH /users/{user_id}, DELETE /users/{user_id}
        DELETE /tasks/{task_id}
        POST /officers, PATCH /officers/{officer_id}, DELETE /officers/{officer_id}
        GET /admin/cache, DELETE /admin/cache, GET /admin/ws
        GET /audit/events, GET /audit/events.csv, GET /audit/verify
    """,
}


def right(rule: Rule) -> str:
    """A rule in the contract's words."""
    level = "-" if rule.level is None else f"{rule.level:d}"
    if rule.own_below is None:
        return level
    return "own" if rule.own_below > 3 else f"own/{rule.own_below:d}"


def test_the_table_gives_the_rights_of_the_contract() -> None:
    stated = {}
    for words, routes in RIGHTS.items():
        for method, path in re.findall(r"([A-Z]+) (\S+?)(?:,|\s|$)", routes):
            outside = path.startswith(("/health/", "/openapi", "/docs"))
            stated[method, path if outside else f"/api/v1{path}"] = words
    assert {key: right(rule) for key, rule in RULES.items()} == stated
    assert {rule.level for rule in RULES.values() if rule.own_below is not None} == {1}


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
