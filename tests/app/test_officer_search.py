"""GET /officers: any mix of filters answers what a look at every officer answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
from bodies import Callers, assert_problem
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from on_duty import OFFICERS
from stores import Stores

from app.area import Box, Circle
from app.db import Database
from app.officer import search
from app.officer.search import Filter
from app.settings import PoolSize

COUNT = 3000
# Everywhere on earth, poles and date line included; names and units of few kinds, so that filters meet.
FILL = (
    "SELECT setseed(0.5)",
    f"""
    INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc, restricted_at, deleted_at)
    SELECT 's' || n || '@distrito.example', (ARRAY['María', 'José', 'Ana_Luz'])[1 + n % 3],
        (ARRAY['Quishpe', 'Guamán'])[1 + n % 2], 1, '!', '',
        CASE WHEN n % 23 = 0 THEN now() END, CASE WHEN n % 29 = 0 THEN now() END
    FROM generate_series(1, {COUNT}) AS n
    """,  # noqa: S608 - our own constants
    """
    INSERT INTO officers (user_id, internal_code, availability, unit, last_position, position_at, deleted_at)
    SELECT id, 'FIND-' || lpad(id::text, 5, '0'), (ARRAY['available', 'off_duty', 'on_task'])[1 + id % 3],
        (ARRAY['UPC Norte', 'UPC Sur', NULL])[1 + id % 3], place, CASE WHEN place IS NOT NULL THEN now() END,
        CASE WHEN id % 31 = 0 THEN now() END
    FROM (
        SELECT id, CASE WHEN id % 10 > 0 THEN ST_SetSRID(ST_MakePoint(
            CASE WHEN id % 2 = 0 THEN -78.5 + (random() - 0.5) ELSE (random() - 0.5) * 360 END,
            CASE WHEN id % 2 = 0 THEN -0.2 + (random() - 0.5) ELSE degrees(asin(2 * random() - 1)) END
        ), 4326)::geography END AS place FROM users
    ) AS placed
    """,
    """
    INSERT INTO officer_shifts (officer_id, period, deleted_at)
    SELECT id, tstzrange(now() + b, now() + b + interval '8 hours'), CASE WHEN id % 7 = 0 THEN now() END
    FROM (SELECT id, make_interval(hours => (id % 3)::int * 6 - 6) AS b FROM officers WHERE id % 4 > 0) AS s
    """,
    "ANALYZE",
)
ALL = """
    SELECT CAST(o.uuid AS text) AS uuid, u.first_name, u.last_name, o.internal_code, o.availability, o.unit,
        ST_Y(o.last_position::geometry) AS lat, ST_X(o.last_position::geometry) AS lon,
        EXISTS (SELECT FROM officer_shifts s WHERE s.officer_id = o.id AND s.deleted_at IS NULL
            AND s.period @> now()) AS on_shift
    FROM officers o JOIN users u ON u.id = o.user_id
    WHERE o.deleted_at IS NULL AND u.deleted_at IS NULL AND u.restricted_at IS NULL ORDER BY o.id
"""


@dataclass(frozen=True)
class World:
    database: Database
    connection: asyncpg.Connection[asyncpg.Record]
    officers: list[asyncpg.Record]


@pytest.fixture(scope="module")
async def world(stores: Stores, new_database: Callable[[str], str]) -> AsyncIterator[World]:
    name = await asyncio.to_thread(new_database, "gad_head")
    await asyncio.to_thread(lambda: stores.execute(*FILL, database=name))
    dsn = stores.dsn("gad_app", name)
    database = Database(dsn, pool=PoolSize(2, 0), wait_s=5, statement_ms=5000, name="test")
    connection = await asyncpg.connect(dsn)
    yield World(database, connection, await connection.fetch(ALL))
    await connection.close()
    await database.close()


async def distances(world: World, circle: Circle) -> dict[str, float]:
    """Metres to everybody."""
    rows = await world.connection.fetch(
        "SELECT CAST(uuid AS text),"
        " ST_Distance(last_position, ST_SetSRID(ST_MakePoint($2, $1), 4326)::geography)"
        " FROM officers WHERE last_position IS NOT NULL",
        circle.lat,
        circle.lon,
    )
    return {row[0]: row[1] for row in rows}


def matches(officer: asyncpg.Record, wanted: Filter) -> bool:
    said = " ".join(officer[name] for name in ("first_name", "last_name", "internal_code")).lower()
    return (
        wanted.availability in {None, officer["availability"]}
        and wanted.unit in {None, officer["unit"]}
        and wanted.on_shift in {None, officer["on_shift"]}
        and all(word.lower() in said for word in wanted.words)
    )


def is_in_box(officer: asyncpg.Record, box: Box) -> bool:
    return (
        officer["lat"] is not None
        and box.south <= officer["lat"] <= box.north
        and box.west <= officer["lon"] <= box.east
    )


async def listed(world: World, wanted: Filter) -> list[str]:
    rows = await search.page(world.database, wanted, after=None, rows=COUNT)
    return [str(row["uuid"]) for row in rows]


others = st.builds(
    lambda availability, unit, on_shift, words: {
        "availability": availability, "unit": unit, "on_shift": on_shift, "words": words
    },
    st.sampled_from([None, None, "available", "on_task"]),
    st.sampled_from([None, None, "UPC Norte", "upc norte"]),
    st.sampled_from([None, None, True, False]),
    st.sampled_from([(), (), ("mar",), ("GUAM", "find-000"), ("a_l",), ("María", "quis"), ("100%",)]),
)  # fmt: skip


@given(wanted=others)
@effort(max_examples=60)
async def test_filters_mean_what_they_say(world: World, wanted: dict[str, Any]) -> None:
    filter_ = Filter(**wanted)
    assert await listed(world, filter_) == [o["uuid"] for o in world.officers if matches(o, filter_)]


@given(
    wanted=others,
    lat=st.one_of(st.floats(-90, 90), st.floats(-0.7, 0.3)),
    lon=st.one_of(st.floats(-180, 180), st.floats(-79, -78)),
    radius_m=st.one_of(st.floats(1, 100_000), st.just(100_000.0)),
)
@effort(max_examples=60)
async def test_a_circle_holds_who_is_near(
    world: World, wanted: dict[str, Any], lat: float, lon: float, radius_m: float
) -> None:
    circle = Circle(lat, lon, radius_m)
    filter_ = Filter(**wanted, area=circle)
    away = await distances(world, circle)
    assert await listed(world, filter_) == [
        o["uuid"]
        for o in world.officers
        if matches(o, filter_) and o["uuid"] in away and away[o["uuid"]] <= radius_m
    ]


def sides(low: float, high: float, around: float) -> st.SearchStrategy[tuple[float, float]]:
    wide = st.tuples(st.floats(low, high), st.floats(low, high))
    near = st.tuples(st.floats(around - 0.5, around + 0.5), st.floats(around - 0.5, around + 0.5))
    return st.one_of(wide, near).map(lambda pair: (min(pair), max(pair)))


@given(wanted=others, lats=sides(-90, 90, -0.2), lons=sides(-180, 180, -78.5))
@effort(max_examples=120)
async def test_a_box_holds_who_is_between_its_sides(
    world: World, wanted: dict[str, Any], lats: tuple[float, float], lons: tuple[float, float]
) -> None:
    box = Box(lats[0], lons[0], lats[1], lons[1])
    filter_ = Filter(**wanted, area=box)
    assert await listed(world, filter_) == [
        o["uuid"] for o in world.officers if matches(o, filter_) and is_in_box(o, box)
    ]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(area=Circle(-0.2, -78.5, 500.0)), "officers_last_position_idx"),
        (Filter(area=Box(-0.21, -78.51, -0.2, -78.5)), "officers_last_position_idx"),
        (Filter(words=("FIND-00042",)), "officers_internal_code_trgm_idx"),
    ],
    ids=["circle", "box", "code"],
)
async def test_a_place_and_a_word_are_found_by_their_index(
    world: World, mode: str, wanted: Filter, index: str
) -> None:
    values = search._values(wanted, None)
    read = search.statement(frozenset(values) & frozenset(search._CONDITIONS), 51)
    given_ = ", ".join(_literal(value) for value in read.arguments(values))
    async with world.connection.transaction():
        await world.connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        # So few officers are read as quickly as an index of words; of many they are not.
        await world.connection.execute("SET LOCAL enable_seqscan = off")
        kinds = (await world.connection.prepare(read.sql)).get_parameters()
        names = ", ".join("text[]" if kind.kind == "array" else kind.name for kind in kinds)
        await world.connection.execute(f"PREPARE listed ({names}) AS {read.sql}")
        explained = await world.connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE listed ({given_})")
        await world.connection.execute("DEALLOCATE listed")
    assert index in {node.get("Index Name") for node in walk(json.loads(explained)[0]["Plan"])}


def _literal(value: object) -> str:
    if isinstance(value, list):
        return f"ARRAY[{', '.join(_literal(each) for each in value)}]"
    return f"'{value}'"


def walk(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(found for child in node.get("Plans", ()) for found in walk(child))]


async def test_pages_of_a_filtered_list(world: World) -> None:
    wanted = Filter(availability="available", on_shift=True)
    seen: list[str] = []
    after = None
    for _ in range(COUNT):
        rows = await search.page(world.database, wanted, after=after, rows=7)
        seen += [str(row["uuid"]) for row in rows]
        after = rows[-1]["uuid"] if rows else None
        if not rows:
            break
    assert seen == await listed(world, wanted)
    assert len(seen) > 100


async def test_the_query_is_the_filter(client: httpx.AsyncClient, caller: Callers) -> None:
    chief, who = await caller(2), await caller(1, is_officer=True)
    one = (await client.get(f"{OFFICERS}/{who.officer}", headers=chief.headers)).json()
    for query in (
        {"q": one["internal_code"]},
        {"q": f"luz chi {one['internal_code'][-5:]}", "availability": "available"},
        {"q": one["internal_code"].lower(), "on_shift": "false"},
    ):
        found = await client.get(OFFICERS, params=query, headers=chief.headers)
        assert found.json() == {"items": [one], "next_cursor": None}, query
    for query in (
        {"q": one["internal_code"], "availability": "off_duty"},
        {"q": one["internal_code"], "on_shift": "true"},
        {"q": one["internal_code"], "unit": "UPC Norte"},
        {"q": one["internal_code"], "lat": "0", "lon": "0", "radius_m": "1000"},
    ):
        found = await client.get(OFFICERS, params=query, headers=chief.headers)
        assert found.json() == {"items": [], "next_cursor": None}, query


@pytest.mark.parametrize(
    "query",
    [
        {"q": "ab"},
        {"q": "ab cd"},
        {"q": "a\x00bc"},
        {"availability": "busy"},
        {"on_shift": "perhaps"},
        {"lat": "0", "lon": "0"},
        {"radius_m": "10"},
        {"lat": "0", "lon": "0", "radius_m": "100001"},
        {"lat": "0", "lon": "0", "radius_m": "nan"},
        {"min_lat": "0", "min_lon": "0", "max_lat": "1"},
        {"min_lat": "2", "min_lon": "0", "max_lat": "1", "max_lon": "1"},
        {"min_lat": "0", "min_lon": "2", "max_lat": "1", "max_lon": "1"},
        {
            **{"lat": "0", "lon": "0", "radius_m": "10"},
            **{"min_lat": "0", "min_lon": "0", "max_lat": "1", "max_lon": "1"},
        },
        {"limit": "0"},
        {"limit": "101"},
    ],
    ids=str,
)
async def test_a_query_without_sense_is_refused(
    client: httpx.AsyncClient, caller: Callers, query: dict[str, str]
) -> None:
    refused = await client.get(OFFICERS, params=query, headers=(await caller(2)).headers)
    assert_problem(refused, 422, "invalid")
