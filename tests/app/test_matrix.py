"""Every route × every kind of caller, generated from the policy table: a new row is tried without a new test.

What a row needs (ids, a body, a task that can be paused) is made by name; a row that asks for something
unknown fails, so that no route is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from bodies import Caller, Callers, new_caller, officer, person

from app.errors import StartError
from app.main import Process, build
from app.policy import API, RULES, Rule
from app.settings import Settings

OWN, OTHERS = "own", "another's"
TITLE = "Patrullaje de la matriz"
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}

# What was done with a task before the request is sent.
STEPS = {"pause": ("start",), "resume": ("start", "pause"), "finish": ("start",)}
# Where the document's example names people who do not exist here, or would be taken the second time.
BODIES = {
    ("POST", f"{API}/users"): lambda _: person(),
    ("POST", f"{API}/officers"): lambda _: officer(),
    ("PATCH", f"{API}/tasks/{{task_id}}"): lambda _: {"notes": "Relevo a medianoche."},
    ("POST", f"{API}/tasks"): lambda _: {"title": TITLE, "type": "patrol"},
    ("POST", f"{API}/tasks/{{task_id}}/assignments"): lambda scene: {"officer": scene.spare},
    ("POST", f"{API}/officers/{{officer_id}}/position"): lambda _: {
        "lat": -0.2,
        "lon": -78.5,
        "at": "2026-01-01T00:00:00Z",
    },
}


@dataclass(frozen=True)
class Scene:
    """Ids that paths may name, all of them of one person."""

    ids: dict[str, str]
    spare: str  # an officer of nobody's task


@dataclass(frozen=True)
class Case:
    """One request: `level` None has no token; `whose` the things in the path are."""

    method: str
    path: str
    level: int | None
    whose: str

    @property
    def rule(self) -> Rule:
        return RULES[self.method, self.path]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.level or 'anonymous'} {self.whose}"


def cases() -> list[Case]:
    """Each row for each caller; where a caller reaches only their own things, also for another's."""
    return [
        Case(method, path, level, whose)
        for (method, path), rule in RULES.items()
        for level in (None, 1, 2, 3)
        for whose in ((OWN, OTHERS) if is_limited(rule, level) and "{" in path else (OWN,))
    ]


def is_limited(rule: Rule, level: int | None) -> bool:
    """Whether callers of this level reach only what is theirs."""
    return rule.own_below is not None and level is not None and level < rule.own_below


def expected(case: Case) -> set[str]:
    """What may come of it."""
    needed = case.rule.level
    if needed is None:
        return {"done", "let in"}
    if case.level is None:
        return {"unauthenticated"}
    if case.level < needed or case.whose == OTHERS:
        return {"forbidden"}
    return {"done"} if is_limited(case.rule, case.level) else {"done", "let in"}


def outcome(response: httpx.Response) -> str:
    """`let in`: past the guard, and refused for another reason."""
    code = response.json().get("code") if "problem" in response.headers.get("content-type", "") else None
    if response.status_code >= 500:
        return f"broken: {response.text}"
    if code in {"unauthenticated", "forbidden"}:
        return str(code)
    return "done" if response.is_success or response.status_code == 409 else "let in"


@pytest.fixture(scope="module")
async def chief(process: Process) -> Caller:
    return await new_caller(process, 3)


async def ask(client: httpx.AsyncClient, who: Caller, path: str, body: object) -> dict[str, Any]:
    """What the scene is made of; must succeed."""
    response = await client.post(f"{API}{path}", json=body, headers=who.headers)
    assert response.is_success, response.text
    found: dict[str, Any] = response.json()
    return found


async def scene_of(
    client: httpx.AsyncClient, chief: Caller, someone: Caller, path: str, spare: Caller
) -> Scene:
    """What the path names, all of it this person's; the task is where the route's action fits."""
    ids = {"user_id": someone.user, "officer_id": str(someone.officer), "purpose": "location_sharing"}
    ids["file"] = "start.js"
    if "{task_id}" in path:
        people = {"delegate": someone.user, "officers": [someone.officer]}
        task = await ask(client, chief, "/tasks", {"title": TITLE, "type": "patrol", **people})
        for step in STEPS.get(path.rsplit("/", 1)[-1], ()):
            await ask(client, chief, f"/tasks/{task['uuid']}/{step}", None)
        ids["task_id"] = task["uuid"]
    if "{shift_id}" in path:
        window = {"starts_at": "2031-01-01T08:00:00Z", "ends_at": "2031-01-01T16:00:00Z"}
        ids["shift_id"] = (await ask(client, chief, f"/officers/{someone.officer}/shifts", window))["uuid"]
    if path.endswith("/position"):
        await ask(client, someone, "/privacy/consents", {"purpose": "location_sharing", "granted": True})
    return Scene(ids, str(spare.officer))


def body_of(process: Process, case: Case, scene: Scene) -> object:
    """Made by name, or the document's own example; None for a route without a body."""
    if (make := BODIES.get((case.method, case.path))) is not None:
        return make(scene)
    document = process.api.openapi()
    operation = document["paths"].get(case.path, {}).get(case.method.lower(), {})
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    return document["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[-1]]["examples"][0]


@pytest.mark.parametrize("case", cases(), ids=str)
async def test_a_route_lets_in_whom_the_table_says(
    client: httpx.AsyncClient, process: Process, caller: Callers, chief: Caller, case: Case
) -> None:
    asker = await caller(case.level or 1, is_officer=True)
    owner = asker if case.whose == OWN else await caller(1, is_officer=True)
    scene = await scene_of(client, chief, owner, case.path, await caller(1, is_officer=True))
    response = await client.request(
        case.method,
        case.path.format(**scene.ids),
        json=body_of(process, case, scene),
        headers={"If-Match": "*", **(asker.headers if case.level is not None else {})},
    )
    assert outcome(response) in expected(case), response.text


def test_the_matrix_has_every_row_of_the_table() -> None:
    assert {(case.method, case.path) for case in cases()} == set(RULES)
    assert sum(case.whose == OTHERS for case in cases()) >= 10
    assert {case.method for case in cases()} <= METHODS


def test_a_route_without_a_row_stops_the_start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, ("GET", f"{API}/map"))  # type: ignore[arg-type]  # nobody else may change it
    with pytest.raises(StartError) as caught:
        build(settings)
    assert caught.value.fact.startswith(f"GET {API}/map has no rule")
