"""Bad input: the right status, problem+json, nothing repeated, nothing 500."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from bodies import Token, assert_problem, officer
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from app.main import Process
from app.request import MAX_BODY

OFFICERS = "/api/v1/officers"
JSON = {"Content-Type": "application/json"}


async def test_unknown_paths_and_methods(client: httpx.AsyncClient, token: Token) -> None:
    for path in (
        "/",
        "/metrics",
        "/api/v1",
        "/api/v1/nothing",
        "/health",
        "/api/v1/officers/",
        "/a/../../etc",
    ):
        assert_problem(await client.get(path, headers=token(3)), 404, "not_found")
    refused = await client.delete(OFFICERS, headers=token(3))
    assert_problem(refused, 405, "method_not_allowed")
    assert set(refused.headers["allow"].split(", ")) <= {"GET", "POST"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"NaN",
        b'{"internal_code": "\xff\xfe"}',
        b'{"internal_code": "\\ud800"}',
        b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b"\xef\xbb\xbf{}",
        b"1" * 5000,
    ],
    ids=range(12),
)
async def test_a_body_that_is_no_object(client: httpx.AsyncClient, token: Token, content: bytes) -> None:
    response = await client.post(OFFICERS, content=content, headers={**token(3), **JSON})
    assert_problem(response, 422, "invalid")


OTHER_TYPES = [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "é"]


@pytest.mark.parametrize("kind", OTHER_TYPES)
async def test_a_body_of_another_type(client: httpx.AsyncClient, token: Token, kind: str | None) -> None:
    headers = token(3) | ({"Content-Type": kind} if kind else {})
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    response = await client.post(OFFICERS, content=json.dumps(officer()).encode(), headers=encoded)
    assert_problem(response, 422, "invalid")


async def test_more_than_a_mebibyte(client: httpx.AsyncClient, token: Token) -> None:
    fits = b" " * (MAX_BODY - 1) + b"x"
    assert_problem(await client.post(OFFICERS, content=fits, headers={**token(3), **JSON}), 422, "invalid")
    over = await client.post(OFFICERS, content=fits + b"x", headers={**token(3), **JSON})
    assert_problem(over, 413, "body_too_large")
    # A stranger learns nothing about limits.
    assert_problem(await client.post(OFFICERS, content=fits + b"x", headers=JSON), 401, "unauthenticated")


async def test_more_than_a_mebibyte_of_unknown_length(client: httpx.AsyncClient, token: Token) -> None:
    async def drip() -> Any:
        for _ in range(20):
            yield b" " * (MAX_BODY // 10)

    response = await client.post(OFFICERS, content=drip(), headers={**token(3), **JSON})
    assert_problem(response, 413, "body_too_large")


@pytest.mark.parametrize(
    ("position", "field"),
    [
        ({"lat": 90.1, "lon": 0}, "lat"),
        ({"lat": -91, "lon": 0}, "lat"),
        ({"lat": 0, "lon": 180.5}, "lon"),
        ({"lat": "x", "lon": 0}, "lat"),
        ({"lat": True, "lon": 0}, "lat"),
        ({"lat": None, "lon": 0}, "lat"),
        ({"lat": 0}, "lon"),
        ({"lat": 0, "lon": 1e308}, "lon"),
        ({"lat": 0, "lon": 0, "at": "2999-01-01T00:00:00Z"}, "at"),
        ({"lat": 0, "lon": 0, "at": "2026-01-01T00:00:00"}, "at"),
        ({"lat": 0, "lon": 0, "at": "yesterday"}, "at"),
        ({"lat": 0, "lon": 0, "at": "0000-01-01T00:00:00Z"}, "at"),
    ],
    ids=repr,
)
async def test_a_position_that_is_none(
    client: httpx.AsyncClient, token: Token, position: dict[str, object], field: str
) -> None:
    body = officer(position={"at": "2026-01-01T00:00:00Z", **position})
    response = await client.post(OFFICERS, json=body, headers=token(3))
    errors = assert_problem(response, 422, "invalid")["errors"]
    assert [error["field"] for error in errors] == [f"body.position.{field}"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "lat=0",
        "lat=91&lon=0",
        "lat=0&lon=181",
        "lat=nan&lon=0",
        "lat=inf&lon=0",
        "lat=0&lon=0&max_m=0",
        "lat=0&lon=0&max_m=-1",
        "lat=0&lon=0&max_m=1e9",
        "lat=0&lon=0&limit=0",
        "lat=0&lon=0&limit=101",
        "lat=0&lon=0&limit=2.5",
        "lat=0&lon=0&limit=" + "9" * 400,
        "lat=%00&lon=0",
        "lat=%ff&lon=0",
        "lat=0;DROP TABLE users&lon=0",
    ],
)
async def test_a_question_without_sense(client: httpx.AsyncClient, token: Token, query: str) -> None:
    response = await client.get(f"{OFFICERS}/nearest?{query}", headers=token(2))
    assert_problem(response, 422, "invalid")


@pytest.mark.parametrize("uuid", ["1", "x", "%00", f"{UUID(int=1)}g", "%2e%2e", "a" * 3000])
async def test_an_id_that_is_none(client: httpx.AsyncClient, token: Token, uuid: str) -> None:
    assert_problem(await client.get(f"{OFFICERS}/{uuid}", headers=token(3)), 422, "invalid")


async def test_the_request_id_is_kept_or_made(client: httpx.AsyncClient) -> None:
    kept = await client.get("/health/live", headers={"X-Request-ID": "abc-123_DEF.9"})
    assert kept.headers["x-request-id"] == "abc-123_DEF.9"
    for bad in ("x", "a" * 65, "ok\tno-tab-here", "<script>alert(1)</script>"):
        made = await client.get("/health/live", headers={"X-Request-ID": bad})
        assert made.headers["x-request-id"] != bad
        assert len(made.headers["x-request-id"]) == 32


async def test_another_host_is_refused_except_for_probes(client: httpx.AsyncClient) -> None:
    for host in ("evil.example", "gad.example.evil.example", "127.0.0.1:8000", ""):
        response = await client.get("/openapi.json", headers={"Host": host})
        assert_problem(response, 400, "host_refused")
        assert (await client.get("/health/live", headers={"Host": host})).status_code == 200
    assert (await client.get("/openapi.json", headers={"Host": "GAD.example:8443"})).status_code == 200


async def test_a_bug_is_a_500_that_tells_nothing(
    client: httpx.AsyncClient, token: Token, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("canary-0815 at /srv/secret")

    monkeypatch.setattr(process.database, "rows", fail)
    response = await client.get(OFFICERS, headers=token(2))
    assert_problem(response, 500, "internal")
    assert "canary" not in response.text
    assert "Traceback" not in response.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = ("user_id", "person", "internal_code", "rank", "unit", "position", "lat", "lon", "at", "email")


@given(body=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), json_values, max_size=8))
@effort(max_examples=150)
async def test_no_json_makes_a_500(client: httpx.AsyncClient, token: Token, body: dict[str, object]) -> None:
    content = json.dumps(body).encode()
    response = await client.post(OFFICERS, content=content, headers={**token(3), **JSON})
    assert_problem(response, 422, "invalid")
