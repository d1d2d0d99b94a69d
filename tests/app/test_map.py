"""The map: who is within a cell, against a search of every row; what is not shown; the plan behind it."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from bodies import HOST, Callers, assert_problem, new_caller, officer
from conftest import settings_for
from hypothesis import example, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from stores import Stores

from app.area import Box, Circle
from app.main import Process, build
from app.map import repository
from app.map.cell import Cell, circle, rectangle
from app.map.schemas import MapRead
from app.stats.invalidation import task_changed

MAP = "/api/v1/map"
CROWD = 6000
# Two thirds crowd one city, the rest are anywhere, poles and date line included; every other one a task too.
FILL = f"""
    WITH people AS (
        INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc)
        SELECT 'm' || n || '@distrito.example', 'Nombre', 'Apellido', 1, '!', ''
        FROM generate_series(1, {CROWD}) AS n RETURNING id
    ), placed AS (
        INSERT INTO officers (user_id, internal_code, last_position, position_at)
        SELECT id, 'MAP-' || id, ST_SetSRID(ST_MakePoint(
            CASE WHEN id % 3 > 0 THEN -78.5 + (random() - 0.5) * 0.3 ELSE (random() - 0.5) * 360 END,
            CASE WHEN id % 3 > 0 THEN -0.2 + (random() - 0.5) * 0.3
                ELSE degrees(asin(2 * random() - 1)) END
        ), 4326)::geography, now() FROM people RETURNING user_id, last_position
    )
    INSERT INTO tasks (code, title, type, status, priority, planned_start, paused_at, delegate_id, created_by,
        location)
    SELECT 'MAP-' || user_id, 'Ronda por el centro', 'patrol',
        (ARRAY['programmed', 'in_progress', 'paused', 'finished', 'cancelled'])[1 + user_id % 5], 3, now(),
        CASE WHEN user_id % 5 = 2 THEN now() END, user_id, user_id, last_position
    FROM placed WHERE user_id % 2 = 0
"""  # noqa: S608 - our own number


@dataclass(frozen=True)
class City:
    """An API over a filled database, and every place in it by uuid."""

    process: Process
    owner: asyncpg.Connection[asyncpg.Record]
    headers: dict[str, str]
    officers: dict[str, tuple[float, float]]
    tasks: dict[str, tuple[float, float]]

    async def get(self, **query: object) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.process.public)
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
            return await client.get(MAP, params=query, headers=self.headers)  # type: ignore[arg-type]

    async def map(self, **query: object) -> dict[str, Any]:
        answer = await self.get(**query)
        assert answer.status_code == 200, answer.text
        MapRead.model_validate_json(answer.content)
        body: dict[str, Any] = answer.json()
        return body


PLACES = "SELECT uuid, ST_Y({0}::geometry), ST_X({0}::geometry) FROM {1} WHERE {0} IS NOT NULL"


@pytest.fixture(scope="module")
async def city(stores: Stores, new_database: Callable[[str], str]) -> AsyncIterator[City]:
    name = await asyncio.to_thread(new_database, "gad_head")
    await asyncio.to_thread(stores.execute, "SELECT setseed(0.5)", FILL, "ANALYZE", database=name)
    process = build(settings_for(stores, database_url=stores.dsn(database=name)))
    owner = await asyncpg.connect(stores.dsn("postgres", name))
    officers = await owner.fetch(PLACES.format("last_position", "officers"))
    active = " AND status IN ('programmed', 'in_progress', 'paused')"
    tasks = await owner.fetch(PLACES.format("location", "tasks") + active)
    places = [{str(row[0]): (row[1], row[2]) for row in rows} for rows in (officers, tasks)]
    yield City(process, owner, (await new_caller(process, 2)).headers, *places)
    await owner.close()
    await process.close()


def haversine_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres on the sphere of the same mean radius; within 0.6 % of the spheroid."""
    (lat1, lon1), (lat2, lon2) = ((math.radians(lat), math.radians(lon)) for lat, lon in (a, b))
    half = (
        math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    )
    return 2 * 6_371_008.77 * math.asin(min(1.0, math.sqrt(half)))


SLACK = 0.02  # the cell's hundredth and the spheroid's 0.6 %

town = st.tuples(st.floats(-0.4, 0.0), st.floats(-78.7, -78.3))
anywhere = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
edges = st.sampled_from([(90.0, 0.0), (-90.0, 45.0), (0.0, 180.0), (0.0, -180.0), (60.0, 179.99)])


@given(place=st.one_of(town, anywhere, edges), radius_m=st.floats(100, 100_000))
@effort(max_examples=80)
async def test_a_circle_equals_a_search_of_every_row(
    city: City, place: tuple[float, float], radius_m: float
) -> None:
    answer = await city.map(lat=place[0], lon=place[1], radius_m=radius_m)
    for kind, places in (("officers", city.officers), ("tasks", city.tasks)):
        distances = {uuid: haversine_m(place, each) for uuid, each in places.items()}
        surely = {uuid for uuid, far in distances.items() if far <= radius_m * (1 - SLACK)}
        perhaps = {uuid for uuid, far in distances.items() if far <= radius_m * (1 + SLACK)}
        shown = [each["uuid"] for each in answer[kind]]
        grouped = sum(each["count"] for each in answer["clusters"] if each["kind"] == kind)
        assert len(shown) == len(set(shown)) <= repository.MOST
        assert len(surely) <= len(shown) + grouped <= len(perhaps)
        assert not shown or surely <= set(shown) <= perhaps
        assert not (shown and grouped)
        assert (grouped > 0) is (len(shown) + grouped > repository.MOST)


@given(place=st.one_of(town, anywhere, edges), height=st.floats(0.01, 2), width=st.floats(0.01, 2))
@effort(max_examples=80)
async def test_a_box_equals_a_search_of_every_row(
    city: City, place: tuple[float, float], height: float, width: float
) -> None:
    south = min(place[0], 90 - height)
    west, east = place[1], place[1] + width - (360 if place[1] + width > 180 else 0)
    answer = await city.map(south=south, west=west, north=south + height, east=east)
    margin = max(height, width) / 100

    def within(at: tuple[float, float], grown: float) -> bool:
        across = (at[1] - west + 180) % 360 - 180
        return south - grown <= at[0] <= south + height + grown and -grown <= across <= width + grown

    for kind, places in (("officers", city.officers), ("tasks", city.tasks)):
        surely = {uuid for uuid, at in places.items() if within(at, 0)}
        perhaps = {uuid for uuid, at in places.items() if within(at, margin)}
        shown = {each["uuid"] for each in answer[kind]}
        grouped = sum(each["count"] for each in answer["clusters"] if each["kind"] == kind)
        assert len(surely) <= len(shown) + grouped <= len(perhaps)
        assert not shown or surely <= shown <= perhaps


async def test_a_box_over_the_date_line_holds_both_its_sides(city: City) -> None:
    moved = [UUID(uuid) for uuid in [*city.tasks][1:5]]
    was = await city.owner.fetch("SELECT uuid, location::text AS at FROM tasks WHERE uuid = ANY($1)", moved)
    move = "UPDATE tasks SET location = CAST($1 AS text)::geography WHERE uuid = $2"
    for uuid, lon in zip(moved, (179.9, -179.9, 179.4, -179.4), strict=True):
        await city.owner.execute(move, f"POINT({lon} -30)", uuid)
    answer = await city.map(south=-30.1, west=179.5, north=-29.9, east=-179.5)
    for row in was:
        await city.owner.execute(move, row["at"], row["uuid"])
    assert {each["uuid"] for each in answer["tasks"]} == {str(uuid) for uuid in moved[:2]}


async def test_groups_are_few_near_and_complete(city: City) -> None:
    here = {"lat": -0.2, "lon": -78.5, "radius_m": 20_000}
    answer = await city.map(**here)
    assert (answer["officers"], answer["tasks"]) == ([], [])
    for kind, places in (("officers", city.officers), ("tasks", city.tasks)):
        groups = [each for each in answer["clusters"] if each["kind"] == kind]
        inside = [at for at in places.values() if haversine_m((-0.2, -78.5), at) <= 20_000]
        assert 10 < len(groups) < 400
        assert sum(each["count"] for each in groups) == pytest.approx(len(inside), rel=0.02)
        assert [each["count"] for each in groups] == sorted((e["count"] for e in groups), reverse=True)
        assert all(haversine_m((-0.2, -78.5), (e["lat"], e["lon"])) <= 20_000 * 1.02 for e in groups)


async def test_few_things_are_grouped_if_asked_for(city: City) -> None:
    here = {"lat": -0.2, "lon": -78.5, "radius_m": 1500}
    single, grouped = await city.map(**here), await city.map(**here, cluster=True)
    assert 3 < len(single["officers"]) <= repository.MOST
    assert (single["clusters"], grouped["officers"], grouped["tasks"]) == ([], [], [])
    counts = {
        kind: sum(e["count"] for e in grouped["clusters"] if e["kind"] == kind)
        for kind in ("officers", "tasks")
    }
    assert counts == {kind: len(single[kind]) for kind in ("officers", "tasks")}


async def test_it_shows_no_names_and_no_free_text(city: City) -> None:
    answer = await city.map(lat=-0.2, lon=-78.5, radius_m=1500)
    assert set(answer["officers"][0]) == {
        "uuid",
        "internal_code",
        "unit",
        "availability",
        "position_at",
        "lat",
        "lon",
    }
    assert "Nombre" not in json.dumps(answer)
    assert "Ronda" not in json.dumps(answer)
    assert {each["priority"] for each in answer["tasks"]} == {"high"}
    assert {each["status"] for each in answer["tasks"]} == {"programmed", "in_progress", "paused"}


HIDES = [
    (
        "officers",
        "UPDATE users SET restricted_at = {} WHERE id = (SELECT user_id FROM officers WHERE uuid = $1)",
    ),
    (
        "officers",
        "UPDATE users SET deleted_at = {} WHERE id = (SELECT user_id FROM officers WHERE uuid = $1)",
    ),
    ("officers", "UPDATE officers SET deleted_at = {} WHERE uuid = $1"),
    ("tasks", "UPDATE tasks SET deleted_at = {} WHERE uuid = $1"),
]


@pytest.mark.parametrize(("kind", "statement"), HIDES, ids=["restricted", "person", "officer", "task"])
async def test_what_is_not_to_be_seen_is_not_on_the_map(city: City, kind: str, statement: str) -> None:
    places = city.officers if kind == "officers" else city.tasks
    uuid, (lat, lon) = next(iter(places.items()))
    here = {"lat": lat, "lon": lon, "radius_m": 100}
    content = city.process.api.state.content

    async def shown() -> set[str]:
        await task_changed(content, users=[])
        return {each["uuid"] for each in (await city.map(**here))[kind]}

    assert uuid in await shown()
    await city.owner.execute(statement.format("now()"), UUID(uuid))
    try:
        assert uuid not in await shown()
    finally:
        await city.owner.execute(statement.format("NULL"), UUID(uuid))
    assert uuid in await shown()


async def test_a_moved_task_is_there_after_its_purge_and_not_before(city: City) -> None:
    here = {"lat": 10.0, "lon": 20.0, "radius_m": 200}
    before = await city.map(**here)
    uuid = UUID(next(iter(city.tasks)))
    was = await city.owner.fetchval("SELECT location::text FROM tasks WHERE uuid = $1", uuid)
    move = "UPDATE tasks SET location = CAST($1 AS text)::geography WHERE uuid = $2"
    await city.owner.execute(move, "POINT(20 10)", uuid)
    again = await city.map(**here)
    await task_changed(city.process.api.state.content, users=[])
    after = await city.map(**here)
    await city.owner.execute(move, was, uuid)
    await task_changed(city.process.api.state.content, users=[])
    assert (before["tasks"], before["cached"]) == ([], False)
    assert (again["tasks"], again["cached"], again["as_of"]) == ([], True, before["as_of"])
    assert ([each["uuid"] for each in after["tasks"]], after["cached"]) == ([str(uuid)], False)


async def test_who_leaves_and_who_withdraws_is_off_the_map_at_once(
    client: httpx.AsyncClient, caller: Callers
) -> None:
    admin, ana = await caller(3), await caller(1, is_officer=True)
    consents, position = "/api/v1/privacy/consents", f"/api/v1/officers/{ana.officer}/position"

    async def shown(lat: float) -> list[str]:
        query = {"lat": lat, "lon": 33.0, "radius_m": 100}
        return [
            each["uuid"]
            for each in (await client.get(MAP, params=query, headers=admin.headers)).json()["officers"]
        ]

    notice = {"purpose": "location_sharing", "granted": True}
    assert (await client.post(consents, json=notice, headers=ana.headers)).status_code == 201
    here = {"lat": 11.0, "lon": 33.0, "at": datetime.now(UTC).isoformat()}
    assert (await client.post(position, json=here, headers=ana.headers)).status_code == 204
    assert await shown(11.0) == [ana.officer]
    withdrawn = await client.delete(f"{consents}/location_sharing", headers=ana.headers)
    assert withdrawn.status_code == 204
    assert await shown(11.0) == []

    new = officer(position={"lat": 12.0, "lon": 33.0, "at": "2026-01-01T00:00:00Z"})
    made = await client.post("/api/v1/officers", json=new, headers=admin.headers)
    assert await shown(12.0) == [made.json()["uuid"]]
    gone = await client.delete(
        made.headers["location"], headers={**admin.headers, "If-Match": made.headers["etag"]}
    )
    assert gone.status_code == 204
    assert await shown(12.0) == []


async def test_people_who_look_at_the_same_place_share_an_answer(city: City) -> None:
    await city.map(lat=5.0, lon=5.0, radius_m=10_000)
    assert (await city.map(lat=5.00004, lon=4.99996, radius_m=10_000.2))["cached"] is True
    assert (await city.map(lat=5.01, lon=5.0, radius_m=10_000))["cached"] is False
    assert (await city.map(lat=5.0, lon=5.0, radius_m=10_000, cluster=True))["cached"] is False


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "map_area"),
        ({"lat": 0}, "map_area"),
        ({"lon": 0, "radius_m": 500}, "map_area"),
        ({"south": 0, "west": 0, "north": 1}, "map_area"),
        ({"lat": 0, "lon": 0, "south": 0, "west": 0, "north": 1, "east": 1}, "map_area"),
        ({"radius_m": 500, "south": 0, "west": 0, "north": 1, "east": 1}, "map_area"),
        ({"south": 1, "west": 0, "north": 0, "east": 1}, "map_span"),
        ({"south": 0, "west": 0, "north": 0, "east": 1}, "map_span"),
        ({"south": 0, "west": 1, "north": 1, "east": 0}, "map_span"),
        ({"south": 0, "west": 0, "north": 2.1, "east": 1}, "map_span"),
        ({"south": 0, "west": 0, "north": 1, "east": 2.1}, "map_span"),
        ({"lat": 0, "lon": 0, "radius_m": 99}, "greater_than_equal"),
        ({"lat": 0, "lon": 0, "radius_m": 100_001}, "less_than_equal"),
        ({"lat": 91, "lon": 0}, "less_than_equal"),
        ({"lat": "nan", "lon": 0}, "finite_number"),
    ],
)
async def test_what_is_no_place_is_refused(city: City, query: dict[str, object], code: str) -> None:
    problem = assert_problem(await city.get(**query), 422, "invalid")
    assert code in [each["code"] for each in problem["errors"]]


def statements() -> list[Any]:
    return [
        pytest.param(layer[has_box], table, index, id=f"{table}-{'box' if has_box else 'circle'}")
        for layer, table, index in (
            (repository.OFFICERS, "officers", "officers_last_position_idx"),
            (repository.TASKS, "tasks", "tasks_location_active_idx"),
        )
        for has_box in (False, True)
    ]


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize(("read", "table", "index"), statements())
async def test_the_plan_uses_the_gist_index(city: City, read: Any, table: str, index: str, mode: str) -> None:
    box = Box(-0.22, -78.52, -0.18, -78.48)
    given = read.arguments(repository.arguments(rectangle(box)))
    await city.owner.execute(f"SET plan_cache_mode = {mode}")
    plan = json.loads(await city.owner.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {read.sql}", *given))
    nodes = [*walk(plan[0]["Plan"])]
    assert index in {node.get("Index Name") for node in nodes}
    scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
    assert scanned.isdisjoint({table, "users"})


def walk(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(found for child in node.get("Plans", []) for found in walk(child))]


@given(place=anywhere, radius_m=st.floats(100, 100_000))
def test_a_circle_moves_by_less_than_a_hundredth(place: tuple[float, float], radius_m: float) -> None:
    cell = circle(Circle(*place, radius_m))
    assert haversine_m(place, (cell.lat, cell.lon)) < radius_m / 100 + 0.001
    assert abs(cell.radius_m - radius_m) <= 0.5
    assert circle(Circle(cell.lat, cell.lon, cell.radius_m)) == cell


boxes = st.builds(
    lambda south, west, height, width: Box(
        south, west, min(south + height, 90.0), (west + width + 180) % 360 - 180
    ),
    st.floats(-90, 89.9),
    st.floats(-180, 179.9),
    st.floats(0.001, 2),
    st.floats(0.001, 2),
)


@given(boxes)
@example(Box(60.0, 10.0, 62.0, 12.0))
@example(Box(-72.0, 179.0, -70.0, -179.0))
def test_a_box_grows_by_less_than_a_hundredth_and_lies_in_its_circle(asked: Box) -> None:
    cell = rectangle(asked)
    box = cell.box
    assert box is not None
    side = max(asked.north - asked.south, asked.width)
    assert asked.south - side / 100 < box.south <= asked.south + 1e-6
    assert asked.north - 1e-6 <= box.north < asked.north + side / 100 + 1e-6
    assert asked.width - 1e-6 <= box.width < asked.width + side / 50 + 1e-6
    for corner in (
        (box.south, box.west),
        (box.north, box.east),
        (box.south, box.east),
        (box.north, box.west),
    ):
        assert haversine_m((cell.lat, cell.lon), corner) * 1.006 <= cell.radius_m  # as far as the sphere errs


@given(st.lists(boxes, min_size=2, max_size=2), st.booleans())
def test_two_cells_have_two_keys(two: list[Box], is_grouped: bool) -> None:
    one, other = rectangle(two[0]), rectangle(two[1], is_grouped=is_grouped)
    assert (one.key == other.key) is (one == other)


def test_a_group_is_square_on_the_ground() -> None:
    for lat in (0.0, 45.0, 80.0):
        width, height = Cell(lat, 0.0, 1000.0, None, is_grouped=True).group_deg
        assert haversine_m((lat, 0), (lat, width)) == pytest.approx(
            haversine_m((0, 0), (height, 0)), rel=0.01
        )
