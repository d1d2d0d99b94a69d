"""GET /officers/nearest against a plain calculation over all rows, and the plan behind it."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import asyncpg
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from stores import Stores

from app.db import Database
from app.officer import repository
from app.settings import PoolSize

OFFICERS = 10_000
# Half of them crowd one city, half are anywhere, poles and date line included.
FILL = f"""
    WITH people AS (
        INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc)
        SELECT 'n' || n || '@distrito.example', 'A', 'B', 1, '!', '' FROM generate_series(1, {OFFICERS}) AS n
        RETURNING id
    )
    INSERT INTO officers (user_id, internal_code, availability, last_position, position_at)
    SELECT id, 'NEAR-' || id, CASE WHEN id % 3 = 0 THEN 'off_duty' ELSE 'available' END,
    ST_SetSRID(ST_MakePoint(
        CASE WHEN id % 2 = 0 THEN -78.5 + (random() - 0.5) * 0.3 ELSE (random() - 0.5) * 360 END,
        CASE WHEN id % 2 = 0 THEN -0.2 + (random() - 0.5) * 0.3 ELSE degrees(asin(2 * random() - 1)) END
    ), 4326)::geography, now() FROM people
"""  # noqa: S608 - our own constants


@dataclass(frozen=True)
class District:
    """A filled database and every position in it."""

    database: Database
    dsn: str
    places: dict[str, tuple[float, float]]


@pytest.fixture(scope="module")
async def district(stores: Stores, new_database: Callable[[str], str]) -> AsyncIterator[District]:
    import asyncio  # noqa: PLC0415

    name = await asyncio.to_thread(new_database, "gad_head")
    await asyncio.to_thread(stores.execute, "SELECT setseed(0.5)", FILL, "ANALYZE", database=name)
    dsn = stores.dsn("gad_app", name)
    database = Database(dsn, pool=PoolSize(2, 0), wait_s=5, statement_ms=5000, name="test")
    connection = await asyncpg.connect(stores.dsn("postgres", name))
    rows = await connection.fetch(
        "SELECT internal_code, ST_Y(last_position::geometry), ST_X(last_position::geometry) FROM officers"
    )
    await connection.close()
    yield District(database, dsn, {row[0]: (row[1], row[2]) for row in rows})
    await database.close()


def haversine_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres on the sphere of the same mean radius; within 0.6 % of the spheroid."""
    (lat1, lon1), (lat2, lon2) = ((math.radians(lat), math.radians(lon)) for lat, lon in (a, b))
    half = (
        math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    )
    return 2 * 6_371_008.77 * math.asin(min(1.0, math.sqrt(half)))


SPHEROID = 0.006  # flattening 1/298 shows in a distance up to twice

anywhere = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
edges = st.sampled_from([(90.0, 0.0), (-90.0, 45.0), (0.0, 180.0), (0.0, -180.0)])
in_town = st.tuples(st.floats(-0.4, 0.0), st.floats(-78.7, -78.3))


@given(
    point=st.one_of(
        anywhere, in_town, st.sampled_from([(90.0, 0.0), (-90.0, 45.0), (0.0, 180.0), (0.0, -180.0)])
    ),
    rows=st.integers(1, 100),
    max_m=st.floats(1, 100_000),
)
@effort(max_examples=60)
async def test_nearest_equals_a_search_of_every_row(
    district: District, point: tuple[float, float], rows: int, max_m: float
) -> None:
    found = await repository.nearest(district.database, lat=point[0], lon=point[1], max_m=max_m, rows=rows)
    distances = [row["distance_m"] for row in found]
    truth = sorted(haversine_m(point, place) for place in district.places.values())

    assert distances == sorted(distances)
    assert all(distance <= max_m for distance in distances)
    assert len({row["internal_code"] for row in found}) == len(found)
    for row in found:
        plain = haversine_m(point, district.places[row["internal_code"]])
        assert row["distance_m"] == pytest.approx(plain, rel=SPHEROID, abs=0.01)
    # Nobody nearer was left out: the k-th distance is the k-th of all, as far as sphere and spheroid agree.
    for distance, plain in zip(distances, truth, strict=False):
        assert distance == pytest.approx(plain, rel=SPHEROID, abs=0.01)
    sure = sum(1 for plain in truth if plain * (1 + SPHEROID) + 0.01 <= max_m)
    assert len(found) >= min(rows, sure)


@given(point=in_town)
@effort(max_examples=25)
async def test_the_order_is_exactly_the_databases_own(district: District, point: tuple[float, float]) -> None:
    """Sphere and spheroid rank a crowd differently; the answer follows the spheroid."""
    connection = await asyncpg.connect(district.dsn)
    try:
        rows = await connection.fetch(
            "SELECT internal_code FROM officers ORDER BY"
            " ST_Distance(last_position, ST_SetSRID(ST_MakePoint($2, $1), 4326)::geography), id LIMIT 5",
            *point,
        )
    finally:
        await connection.close()
    found = await repository.nearest(district.database, lat=point[0], lon=point[1], max_m=100_000, rows=5)
    assert [row["internal_code"] for row in found] == [row["internal_code"] for row in rows]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("candidates", [32, 128])
@pytest.mark.parametrize(
    ("available_only", "index"),
    [(False, "officers_last_position_idx"), (True, "officers_last_position_available_idx")],
)
async def test_the_plan_walks_the_gist_index(
    district: District, mode: str, candidates: int, available_only: bool, index: str
) -> None:
    read = repository._NEAREST[candidates, available_only]
    connection = await asyncpg.connect(district.dsn, server_settings={"plan_cache_mode": mode})
    try:
        arguments = read.arguments({"lat": -0.2, "lon": -78.5, "max_m": 5000.0, "rows": 5})
        plan = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {read.sql}", *arguments))
    finally:
        await connection.close()
    nodes = [*walk(plan[0]["Plan"])]
    scan = next(node for node in nodes if node.get("Relation Name") == "officers")
    assert (scan["Node Type"], scan["Index Name"]) == ("Index Scan", index)
    assert "<->" in scan["Order By"]
    assert scan["Actual Rows"] == candidates
    assert [node["Node Type"] for node in nodes if node["Node Type"] == "Seq Scan"] == []


def walk(node: dict[str, object]) -> list[dict[str, object]]:
    children = node.get("Plans", [])
    assert isinstance(children, list)
    return [node, *(found for child in children for found in walk(child))]


@pytest.mark.parametrize("rows", [1, 16, 17, 32, 33, 40, 100])
async def test_as_many_are_found_as_are_wanted(district: District, rows: int) -> None:
    found = await repository.nearest(district.database, lat=-0.2, lon=-78.5, max_m=100_000, rows=rows)
    assert len(found) == rows


@pytest.mark.parametrize("rows", [1, 5, 60])
async def test_the_nearest_who_are_available(district: District, rows: int) -> None:
    everybody = await repository.nearest(
        district.database, lat=-0.2, lon=-78.5, max_m=100_000, rows=100, available_only=False
    )
    found = await repository.nearest(
        district.database, lat=-0.2, lon=-78.5, max_m=100_000, rows=rows, available_only=True
    )
    available = [row["internal_code"] for row in everybody if row["availability"] == "available"]
    assert len(available) < len(everybody)
    assert [row["internal_code"] for row in found] == available[:rows]
