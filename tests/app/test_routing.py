"""The short ways to a route answer exactly as the framework's own long one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from bodies import Callers
from conftest import settings_for
from fastapi import APIRouter, FastAPI, Response
from fastapi.routing import iter_route_contexts
from stores import Stores
from test_limits import an_address, site

from app import metrics, policy
from app.db import Db
from app.errors import StartError
from app.guard import Authorized, GuardedRoute
from app.main import Process, build
from app.policy import RULES
from app.routing import Paths, Shortcut, hot

OFFICERS = "/api/v1/officers"
ONE = f"{OFFICERS}/{{officer_id}}"


def shortcut(process: Process) -> Shortcut:
    found = process.public._app  # type: ignore[attr-defined]
    assert isinstance(found, Shortcut)
    return found


def as_path(template: str) -> str:
    return "/".join("w" if part.startswith("{") else part for part in template.split("/"))


def test_every_route_of_the_table_is_found_and_is_the_frameworks(process: Process) -> None:
    paths = Paths(process.api)
    known = {
        (method, context.path): context.original_route
        for context in iter_route_contexts(process.api.routes)
        for method in context.methods or ()
    }
    for method, template in set(RULES) - policy.OPTIONAL:
        found = paths.find(method, as_path(template))
        assert found is not None, template
        assert found[0] is known[method, template], template
        assert set(found[1].values()) <= {"w"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/"),
        ("GET", "/api/v1/officers/"),
        ("GET", "/api/v1/officers//shifts"),
        ("GET", "/api/v1/nothing"),
        ("PUT", "/api/v1/officers"),
        ("HEAD", "/api/v1/officers"),
        ("GET", "/api/v1/officers/x/y/z"),
        ("GET", "api/v1/officers"),
    ],
)
def test_what_is_no_route_is_left_to_the_framework(process: Process, method: str, path: str) -> None:
    assert Paths(process.api).find(method, path) is None


def test_a_word_goes_before_a_parameter(process: Process) -> None:
    found = Paths(process.api).find("GET", f"{OFFICERS}/nearest")
    assert found is not None
    assert (found[0].path, found[1]) == (f"{OFFICERS}/nearest", {})


@pytest.fixture
async def long_way(stores: Stores, process: Process) -> AsyncIterator[Process]:
    """The same replica without the short way of hot reads."""
    old = process.api.state.settings
    keys = {name: getattr(old, name) for name in ("jwt_secret", "jwt_previous", "hmac_key", "kek")}
    made = build(settings_for(stores, **keys))
    reads = shortcut(made)._reads
    assert {f"GET {read.route.path}" for read in reads.values()} >= {f"GET {ONE}"}
    reads.clear()
    yield made
    await made.close()


def without_its_own(response: httpx.Response) -> tuple[int, dict[str, str], Any]:
    headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
    body = response.json()
    body.pop("request_id", None)
    headers.pop("content-length" if response.is_error else "", None)
    return response.status_code, headers, body


async def test_a_hot_read_answers_like_the_framework(
    process: Process, long_way: Process, caller: Callers
) -> None:
    own, admin = await caller(1, is_officer=True), await caller(3)
    questions = [
        (f"{OFFICERS}/{own.officer}", own.headers, 200),
        (f"{OFFICERS}/{own.officer}", admin.headers, 200),
        (f"{OFFICERS}/{str(own.officer).upper()}?x=1", admin.headers, 200),
        (f"{OFFICERS}/{str(own.officer).replace('-', '')}", admin.headers, 200),
        (f"{OFFICERS}/{{{own.officer}}}", admin.headers, 200),
        (f"{OFFICERS}/{own.officer}", {}, 401),
        (f"{OFFICERS}/{own.officer}", {"Authorization": "Bearer x"}, 401),
        (f"{OFFICERS}/{uuid4()}", admin.headers, 404),
        (f"{OFFICERS}/{own.officer}", (await caller(1)).headers, 403),
        (f"{OFFICERS}/{str(own.officer)[:-1]}g", admin.headers, 422),
        (f"{OFFICERS}/x", admin.headers, 422),
        (f"{OFFICERS}/x", {}, 401),
    ]
    async with site(process, an_address()) as short, site(long_way, an_address()) as long:
        for path, headers, status in questions:
            answers = [await client.get(path, headers=headers) for client in (short, long)]
            assert without_its_own(answers[0]) == without_its_own(answers[1]), path
            assert answers[0].status_code == status, path


async def test_a_hot_read_is_counted_under_its_route(process: Process, caller: Callers) -> None:
    own = await caller(1, is_officer=True)
    counted = metrics.http_requests.labels("GET", ONE, "200")
    before = counted._value.get()
    async with site(process, an_address()) as client:
        for _ in range(3):
            await client.get(f"{OFFICERS}/{own.officer}", headers=own.headers)
    assert counted._value.get() - before == 3


async def test_a_bug_in_a_hot_read_is_a_500_that_tells_nothing(
    process: Process, caller: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await caller(1, is_officer=True)

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("canary-4711")

    async with site(process, an_address()) as client:
        await client.get(f"{OFFICERS}/{own.officer}", headers=own.headers)
        monkeypatch.setattr(process.database, "rows", fail)
        response = await client.get(f"{OFFICERS}/{own.officer}", headers=own.headers)
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "canary" not in response.text


async def takes_a_query(officer_id: UUID, caller: Authorized, limit: int = 5) -> Response:
    raise NotImplementedError(officer_id, caller, limit)


async def takes_text(officer_id: str, caller: Authorized) -> Response:
    raise NotImplementedError(officer_id, caller)


def is_no_coroutine(officer_id: UUID, database: Db) -> Response:
    raise NotImplementedError(officer_id, database)


@pytest.mark.parametrize("endpoint", [takes_a_query, takes_text, is_no_coroutine])
def test_a_mark_on_what_cannot_be_called_directly_stops_the_start(process: Process, endpoint: Any) -> None:
    router = APIRouter(route_class=GuardedRoute)
    router.get(ONE)(hot(endpoint))
    api = FastAPI()
    api.include_router(router)
    with pytest.raises(StartError, match="is marked hot"):
        Shortcut(api, guard=process.api.state.guard, database=process.database)


def test_only_reads_of_one_thing_are_hot(process: Process) -> None:
    hot_paths = {read.route.path for read in shortcut(process)._reads.values()}
    assert hot_paths == {ONE, "/api/v1/tasks/{task_id}"}
