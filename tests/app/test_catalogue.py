"""The sets of values and their labels, and the administrator's view of the cache."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import httpx
import pytest
from bodies import Callers, assert_problem
from stores import Stores, wait_for

from app import catalogue
from app.cache_routes import CacheState
from app.cached import Entry, Kind
from app.catalogue import SETS, Catalogue
from app.main import Process

CATALOGUE = "/api/v1/catalogue"
CACHE = "/api/v1/admin/cache"


async def test_every_value_of_every_set_has_its_label(client: httpx.AsyncClient, caller: Callers) -> None:
    answer = await client.get(CATALOGUE, headers=(await caller(1)).headers)
    assert answer.status_code == 200
    Catalogue.model_validate_json(answer.content)
    body = answer.json()
    assert {name: [each["value"] for each in values] for name, values in body.items()} == {
        "level": [1, 2, 3],
        "status": ["programmed", "in_progress", "paused", "finished", "cancelled"],
        "priority": ["low", "medium", "high", "urgent", "critical"],
        "type": ["patrol", "investigation", "surveillance", "intervention", "administrative", "training"],
        "availability": ["available", "on_task", "off_duty", "unavailable"],
    }
    labels = {name: [each["label"] for each in values] for name, values in body.items()}
    assert labels["status"] == ["programada", "en curso", "pausada", "finalizada", "cancelada"]
    assert labels["priority"] == ["baja", "media", "alta", "urgente", "crítica"]
    assert all(len(set(each)) == len(each) for each in labels.values())
    assert set(labels) == set(SETS)


async def test_who_has_it_already_is_told_so(client: httpx.AsyncClient, caller: Callers) -> None:
    headers = (await caller(1)).headers
    first = await client.get(CATALOGUE, headers=headers)
    assert first.headers["cache-control"] == "private, max-age=300"
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await client.get(CATALOGUE, headers={**headers, "If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await client.get(CATALOGUE, headers={**headers, "If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)
    assert_problem(await client.get(CATALOGUE, headers={"If-None-Match": tag}), 401, "unauthenticated")


def test_the_tag_is_of_the_content() -> None:
    assert sha256(catalogue.CONTENT).hexdigest().startswith(catalogue.ETAG.strip(chr(34)))


async def test_the_cache_is_counted_and_emptied(
    client: httpx.AsyncClient, process: Process, caller: Callers
) -> None:
    headers = (await caller(3)).headers
    content = process.api.state.content

    async def compute() -> dict[str, object]:
        return {}

    await content.purge_all()
    place = Entry(kind=Kind.MAP, part="here")
    before = CacheState.model_validate((await client.get(CACHE, headers=headers)).json())
    for _ in range(3):
        await content.get(place, compute)
    after = CacheState.model_validate((await client.get(CACHE, headers=headers)).json())
    assert before.keys == {"stats:user": 0, "stats:team": 0, "stats:tasks": 0, "map": 0}
    assert after.keys == {**before.keys, "map": 1}
    assert after.requests["hit"] - before.requests.get("hit", 0) == 2
    assert after.requests["miss"] - before.requests.get("miss", 0) == 1
    assert after.hit_ratio == pytest.approx(
        after.requests["hit"] / (after.requests["hit"] + after.requests["miss"]), abs=0.001
    )

    gone = await client.delete(CACHE, headers=headers)
    assert (gone.status_code, gone.content) == (204, b"")
    assert b'"cached":false' in await content.get(place, compute)
    audited = await client.get("/api/v1/audit/events", params={"type": "cache.purge"}, headers=headers)
    assert audited.json()["items"][0]["resource"] == "admin/cache"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_only_administrators_touch_the_cache(
    client: httpx.AsyncClient, caller: Callers, method: str
) -> None:
    for level in (1, 2):
        answer = await client.request(method, CACHE, headers=(await caller(level)).headers)
        assert_problem(answer, 403, "forbidden")


async def test_without_redis_nobody_is_told_that_it_was_emptied(
    client: httpx.AsyncClient, caller: Callers, stores: Stores
) -> None:
    headers = (await caller(3)).headers
    await asyncio.to_thread(stores.redis.pause)
    try:
        for method in ("GET", "DELETE"):
            answer = await client.request(method, CACHE, headers=headers)
            assert_problem(answer, 503, "unavailable")
    finally:
        await asyncio.to_thread(stores.redis.unpause)
        await asyncio.to_thread(wait_for, stores.redis_answers, "Redis answers")
