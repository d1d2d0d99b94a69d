"""Fifty emergencies at once, over HTTP to a process of its own: no officer twice, nobody waits for a lock."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import asyncpg
import httpx
import pytest
from bodies import Caller, Callers
from on_duty import EMERGENCY, audits
from served import environment, served
from stores import Stores

from app.settings import Settings

CALLS = 50
HERE = (10.0, 10.0)


@pytest.fixture(scope="module")
def address(stores: Stores, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a process with the pool of the product, five connections, that knows the run's tokens."""
    scratch = tmp_path_factory.mktemp("race")
    secret = scratch / "shared_jwt_secret"
    secret.write_text(settings.jwt_secret.get_secret_value())
    with served(environment(stores, scratch, GAD_JWT_SECRET_FILE=str(secret)), scratch) as process:
        process.wait_ready(200)
        yield str(process.public.base_url)


@pytest.fixture
async def http(address: str) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=CALLS)
    async with httpx.AsyncClient(base_url=address, timeout=15, limits=limits) as made:
        yield made


async def gather_officers(caller: Callers, stores: Stores, count: int) -> list[Caller]:
    """So many in one place, a metre or so apart, and nobody else anywhere."""
    await stores.fetch("UPDATE officers SET last_position = NULL, position_at = NULL")
    officers = [await caller(1, is_officer=True) for _ in range(count)]
    await stores.fetch(
        "UPDATE officers o SET position_at = now(),"
        " last_position = ST_SetSRID(ST_MakePoint($2, $3 + n * 0.00001), 4326)::geography"
        " FROM unnest($1::uuid[]) WITH ORDINALITY AS given (uuid, n) WHERE o.uuid = given.uuid",
        [each.officer for each in officers],
        HERE[1],
        HERE[0],
    )
    return officers


async def call(http: httpx.AsyncClient, who: Caller, officers: int) -> httpx.Response:
    body = {"lat": HERE[0], "lon": HERE[1], "officers": officers}
    return await http.post(EMERGENCY, json=body, headers=who.headers)


@pytest.mark.parametrize(("there", "wanted"), [(10, 1), (20, 1), (20, 2), (60, 5)])
async def test_no_officer_is_sent_twice_and_none_is_forgotten(
    http: httpx.AsyncClient, caller: Callers, stores: Stores, there: int, wanted: int
) -> None:
    officers = await gather_officers(caller, stores, there)
    callers = [await caller(1) for _ in range(CALLS)]
    began = time.monotonic()
    answers = await asyncio.gather(*(call(http, who, wanted) for who in callers))
    took_s = time.monotonic() - began

    made = [answer.json() for answer in answers if answer.status_code == 201]
    refused = Counter((a.status_code, a.json()["code"]) for a in answers if a.status_code != 201)
    assert set(refused) <= {(404, "no_officer_available"), (409, "officers_contended")}, refused
    sent = [officer["officer_id"] for answer in made for officer in answer["officers"]]
    assert sorted(sent) == sorted(str(each.officer) for each in officers)
    assert len({answer["task"]["code"] for answer in made}) == len(made)
    assert all(answer["task"]["delegate"] == answer["officers"][0]["user_id"] for answer in made)
    assert all(
        [each["distance_m"] for each in answer["officers"]]
        == sorted(each["distance_m"] for each in answer["officers"])
        for answer in made
    )

    tasks = [answer["task"]["uuid"] for answer in made]
    lines = await stores.fetch(
        "SELECT CAST(t.uuid AS text), h.event, h.to_status FROM task_history h"
        " JOIN tasks t ON t.id = h.task_id WHERE t.uuid = ANY ($1::uuid[])",
        tasks,
    )
    assert sorted(lines) == sorted((task, "emergency", "in_progress") for task in tasks)
    engaged = await stores.fetch(
        "SELECT CAST(o.uuid AS text) FROM task_assignments a JOIN officers o ON o.id = a.officer_id"
        " JOIN tasks t ON t.id = a.task_id WHERE a.engaged AND t.uuid = ANY ($1::uuid[])"
        " AND o.availability = 'on_task'",
        tasks,
    )
    assert sorted(each for (each,) in engaged) == sorted(sent)
    audited = await audits(stores, *(f"task/{task}" for task in tasks))
    assert Counter(each[0] for each in audited) == {"task.emergency": len(made)}
    failures = await audits(stores, *(f"user/{who.user}" for who in callers))
    assert [each[2] for each in failures] == [False] * (CALLS - len(made))
    # Nobody waited for a lock: the slowest of fifty on five connections is one of ten in a row.
    assert took_s < 10


async def test_one_key_at_once_is_one_emergency(
    http: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    await gather_officers(caller, stores, 10)
    who = await caller(1)
    headers = {**who.headers, "Idempotency-Key": f"k-{uuid4()}"}
    body = {"lat": HERE[0], "lon": HERE[1]}
    answers = await asyncio.gather(*(http.post(EMERGENCY, json=body, headers=headers) for _ in range(10)))
    codes = {answer.status_code for answer in answers}
    assert codes <= {201, 409}
    assert {a.json().get("code") for a in answers if a.status_code == 409} <= {"idempotency_in_flight"}
    assert len({a.json()["task"]["uuid"] for a in answers if a.status_code == 201}) == 1
    busy = await stores.fetch(
        "SELECT count(*) FROM officers WHERE availability = 'on_task' AND last_position IS NOT NULL"
    )
    assert busy == [(1,)]


async def test_whoever_is_held_all_the_time_is_contended(
    http: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    """A foreign transaction holds the only officer: nobody waits for it, and the answer says so."""
    (only,) = await gather_officers(caller, stores, 1)
    who = await caller(1)
    connection = await asyncpg.connect(stores.dsn("postgres"))
    try:
        hold = connection.transaction()
        await hold.start()
        await connection.execute("SELECT FROM officers WHERE uuid = $1 FOR NO KEY UPDATE", only.officer)
        began = time.monotonic()
        refused = await call(http, who, 1)
        assert time.monotonic() - began < 2
        assert (refused.status_code, refused.json()["code"]) == (409, "officers_contended")
        assert await audits(stores, f"user/{who.user}") == [
            ("task.emergency", who.user, False, {"code": "officers_contended"})
        ]
        await hold.rollback()
    finally:
        await connection.close()
    assert (await call(http, who, 1)).status_code == 201
