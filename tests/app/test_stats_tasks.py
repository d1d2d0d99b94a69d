"""What tasks that are made through the API do to statistics and map, however much of both is cached."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
from bodies import Caller, Callers
from tasks import TASKS, act, create


async def looked_at(
    client: httpx.AsyncClient, chief: Caller, people: list[Caller], lat: float
) -> dict[str, Any]:
    """Each person's total and status counts, the team's total, and what is on the map there."""
    found: dict[str, Any] = {"people": [], "done": []}
    for each in people:
        answer = await client.get(f"/api/v1/stats/users/{each.user}", headers=chief.headers)
        found["people"].append(answer.json()["total"])
        found["done"].append(answer.json()["by_status"]["finished"])
    team = await client.get("/api/v1/stats/team", headers=chief.headers)
    found["team"] = team.json()["total"]
    query = {"lat": lat, "lon": 40.0, "radius_m": 100}
    on_map = await client.get("/api/v1/map", params=query, headers=chief.headers)
    found["map"] = [(each["code"], each["status"]) for each in on_map.json()["tasks"]]
    return found


async def test_every_change_of_a_task_shows_at_once(client: httpx.AsyncClient, caller: Callers) -> None:
    admin, delegate = await caller(3), await caller(1)
    one, two = await caller(1, is_officer=True), await caller(1, is_officer=True)
    people, lat = [delegate, one, two], 51.0
    before = await looked_at(client, admin, people, lat)
    assert (before["people"], before["map"]) == ([0, 0, 0], [])

    place = {"lat": lat, "lon": 40.0}
    made = await create(client, admin.headers, delegate=delegate.user, officers=[one.officer], location=place)
    url, code = f"{TASKS}/{made['uuid']}", made["code"]
    created = await looked_at(client, admin, people, lat)
    assert (created["people"], created["team"]) == ([1, 1, 0], before["team"] + 1)
    assert created["map"] == [(code, "programmed")]

    joined = await client.post(f"{url}/assignments", json={"officer": two.officer}, headers=admin.headers)
    assert joined.status_code == 201, joined.text
    assert (await looked_at(client, admin, people, lat))["people"] == [1, 1, 1]

    assert (await act(client, admin.headers, made["uuid"], "start")).status_code == 200
    assert (await looked_at(client, admin, people, lat))["map"] == [(code, "in_progress")]
    done = await act(client, admin.headers, made["uuid"], "finish")
    finished = await looked_at(client, admin, people, lat)
    assert (finished["map"], finished["done"]) == ([], [1, 1, 1])

    match = {"If-Match": done.headers["etag"]}
    assert (await client.delete(url, headers=admin.headers | match)).status_code == 204
    assert await looked_at(client, admin, people, lat) == before


async def test_a_deleted_task_is_on_no_map(client: httpx.AsyncClient, caller: Callers) -> None:
    admin, lat = await caller(3), 52.0
    made = await create(client, admin.headers, location={"lat": lat, "lon": 40.0})
    assert len((await looked_at(client, admin, [], lat))["map"]) == 1
    match = {"If-Match": f'"{made["version"]}"'}
    gone = await client.delete(f"{TASKS}/{made['uuid']}", headers=admin.headers | match)
    assert gone.status_code == 204
    assert (await looked_at(client, admin, [], lat))["map"] == []


async def test_an_emergency_is_on_the_map_at_once(client: httpx.AsyncClient, caller: Callers) -> None:
    chief, lat = await caller(2), 53.0
    officer = await caller(1, is_officer=True)
    consent = {"purpose": "location_sharing", "granted": True}
    await client.post("/api/v1/privacy/consents", json=consent, headers=officer.headers)
    here = {"lat": lat, "lon": 40.0, "at": datetime.now(UTC).isoformat()}
    placed = await client.post(
        f"/api/v1/officers/{officer.officer}/position", json=here, headers=officer.headers
    )
    assert placed.status_code == 204, placed.text
    before = await looked_at(client, chief, [officer], lat)
    raised = await client.post(
        "/api/v1/tasks/emergency",
        json={"lat": lat, "lon": 40.0, "max_distance_m": 500},
        headers=chief.headers,
    )
    assert raised.status_code == 201, raised.text
    after = await looked_at(client, chief, [officer], lat)
    assert (before["people"], before["map"]) == ([0], [])
    assert after["people"] == [1]
    assert [status for _, status in after["map"]] == ["in_progress"]
