"""The short ways to a route answer exactly as the framework's own long one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
from bodies import Callers
from conftest import settings_for
from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.routing import iter_route_contexts
from stores import Stores
from tasks import create
from test_limits import an_address, site

from app import metrics, policy
from app.db import Db
from app.errors import StartError
from app.guard import Authorized, GuardedRoute
from app.hot import LONGEST, hot
from app.main import Process, build
from app.policy import RULES
from app.routing import Paths, Shortcut

OFFICERS, TASKS = "/api/v1/officers", "/api/v1/tasks"
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


async def test_a_query_is_read_like_the_frameworks_own(
    process: Process, long_way: Process, client: httpx.AsyncClient, caller: Callers
) -> None:
    """Each twice: what was asked before is remembered."""
    chief = await caller(2)
    made = [(await create(client, chief.headers))["uuid"] for _ in range(3)]
    cursor = (await client.get(TASKS, params={"limit": 2}, headers=chief.headers)).json()["next_cursor"]
    questions = [
        (f"{TASKS}?limit=2&delegate={chief.user}", 200),
        (f"{TASKS}?limit=2&cursor={cursor}", 200),
        (f"{TASKS}?status=programmed&status=paused&limit=2", 200),
        (f"{TASKS}?limit=2&from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00%2B02:00", 200),
        (f"{TASKS}?limit=2&unheard_of={'x' * LONGEST}", 200),
        (f"{TASKS}?limit=0", 422),
        (f"{TASKS}?limit=2&limit=x", 422),
        (f"{TASKS}?from=yesterday&status=done", 422),
        (f"{TASKS}?q=ab", 422),
        (f"{TASKS}?cursor=never", 422),
        (f"{TASKS}?limit=%FF", 422),
        (f"{OFFICERS}?limit=2", 200),
        (f"{OFFICERS}?lat=1", 422),
        (f"{OFFICERS}/nearest?lat=-0.2&lon=-78.5", 200),
        (f"{OFFICERS}/nearest?lat=-0.2", 422),
    ]
    assert made
    async with site(process, an_address()) as short, site(long_way, an_address()) as long:
        for path, status in questions * 2:
            answers = [await each.get(path, headers=chief.headers) for each in (short, long)]
            assert without_its_own(answers[0]) == without_its_own(answers[1]), path
            assert answers[0].status_code == status, (path, answers[0].text)
        refused = await short.get(f"{TASKS}?limit=0")
    assert refused.status_code == 401


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


async def takes_the_request(officer_id: UUID, caller: Authorized, request: Request) -> Response:
    raise NotImplementedError(officer_id, caller, request)


async def takes_a_header(officer_id: UUID, caller: Authorized, x: Annotated[str, Header()]) -> Response:
    raise NotImplementedError(officer_id, caller, x)


async def takes_text(officer_id: str, caller: Authorized) -> Response:
    raise NotImplementedError(officer_id, caller)


def is_no_coroutine(officer_id: UUID, database: Db) -> Response:
    raise NotImplementedError(officer_id, database)


@pytest.mark.parametrize("endpoint", [takes_the_request, takes_a_header, takes_text, is_no_coroutine])
def test_a_mark_on_what_cannot_be_called_directly_stops_the_start(process: Process, endpoint: Any) -> None:
    router = APIRouter(route_class=GuardedRoute)
    router.get(ONE)(hot(endpoint))
    api = FastAPI()
    api.include_router(router)
    with pytest.raises(StartError, match="is marked hot"):
        Shortcut(api, guard=process.api.state.guard, stores=((Db, process.database),))


def test_what_a_district_asks_all_the_time_is_hot(process: Process) -> None:
    hot_paths = {read.route.path for read in shortcut(process)._reads.values()}
    assert hot_paths == {
        OFFICERS,
        ONE,
        f"{OFFICERS}/nearest",
        TASKS,
        f"{TASKS}/{{task_id}}",
        "/api/v1/map",
        "/api/v1/stats/users/{user_id}",
        "/api/v1/stats/team",
        "/api/v1/stats/tasks",
    }
