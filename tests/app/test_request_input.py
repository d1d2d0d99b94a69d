"""Input no person sends, to every route: a refusal in full form, nothing of it repeated or logged."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from bodies import Callers, assert_problem, officer
from served import environment, served
from stores import Stores

from app.logs import JsonFormatter
from app.main import Process
from app.request import MAX_BODY

CANARY = "canario-8d1f"
JSON = {"Content-Type": "application/json"}
NO_OBJECTS = {
    "nothing": b"",
    "half": b'{"x": ',
    "list": b"[]",
    "null": b"null",
    "text": b'"text"',
    "number": b"1e999",
    "canary": f'{{"{CANARY}": "{CANARY}"'.encode(),
    "nan": b'{"lat": NaN, "lon": Infinity}',
    "bad utf-8": b'{"title": "\xff\xfe\xc0\x80"}',
    "lone surrogate": b'{"title": "\\ud800"}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep and whole": b'{"title": ' + b"[" * 900 + b"]" * 900 + b"}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "nul": b"\x00",
    "duplicate names": b'{"__proto__": {}, "__proto__": {}, "constructor": 1}',
}
INJECTIONS = [
    f"{CANARY}'; DROP TABLE users; --",
    f'{CANARY}" OR ""="',
    f"{CANARY}${{jndi:ldap://x}}{{{{7*7}}}}",
    f"{CANARY}\r\nSet-Cookie: a=b",
    f"{CANARY}\x00",
    f"../../etc/passwd{CANARY}",
    f"<script>{CANARY}</script>",
    f"{CANARY}{'9' * 400}",
    f"{CANARY}\u202e\ufeff",
]


@pytest.fixture
def operations(process: Process) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of everything under /api."""
    return [
        (method.upper(), path, operation)
        for path, methods in process.api.openapi()["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/")
    ]


def taking_bodies(operations: list[tuple[str, str, dict[str, Any]]]) -> list[tuple[str, str]]:
    """(method, path) of what cannot do without a body."""
    found = [
        (method, path)
        for method, path, operation in operations
        if operation.get("requestBody", {}).get("required")
    ]
    assert len(found) > 15
    return found


def filled(path: str, value: str | None = None) -> str:
    """The path with something for each parameter."""
    parts = [quote(value, safe="") if value else str(uuid4()) if p[:1] == "{" else p for p in path.split("/")]
    return "/".join(given if p[:1] == "{" else p for p, given in zip(path.split("/"), parts, strict=True))


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """What the process has written to its log in this test."""
    caplog.set_level(logging.DEBUG, "gad")
    formatter = JsonFormatter("blue")

    def lines() -> str:
        return "\n".join(formatter.format(each) for each in caplog.records if each.name.startswith("gad"))

    return lines


@pytest.mark.parametrize("content", NO_OBJECTS.values(), ids=NO_OBJECTS)
async def test_a_body_that_is_no_object(
    client: httpx.AsyncClient,
    caller: Callers,
    operations: list[Any],
    written: Callable[[], str],
    content: bytes,
) -> None:
    known = await caller(3)
    for method, path in taking_bodies(operations):
        headers = {**known.headers, **JSON, "If-Match": "*"}
        response = await client.request(method, filled(path), content=content, headers=headers)
        assert_problem(response, 422, "invalid")
        assert CANARY not in response.text
    assert "/api/v1/officers" in written()
    assert CANARY not in written()


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "é", ""]
)
async def test_a_body_that_is_not_called_json_is_422(
    client: httpx.AsyncClient, caller: Callers, operations: list[Any], kind: str
) -> None:
    """Not 415: the contract knows no such status, and the body is no object all the same."""
    known = await caller(3)
    for method, path in taking_bodies(operations):
        headers = [(n.encode(), v.encode()) for n, v in {**known.headers, "If-Match": "*"}.items()]
        headers.append((b"Content-Type", kind.encode()))
        response = await client.request(method, filled(path), content=b'{"a": 1}', headers=headers)
        assert_problem(response, 422, "invalid")


async def test_a_body_that_is_too_large_wherever_one_is_read(
    client: httpx.AsyncClient, caller: Callers, operations: list[Any]
) -> None:
    known = await caller(3)
    large = b'{"title": "' + b"x" * MAX_BODY + b'"}'
    for method, path in taking_bodies(operations):
        headers = {**known.headers, **JSON, "If-Match": "*"}
        response = await client.request(method, filled(path), content=large, headers=headers)
        assert_problem(response, 413, "body_too_large")


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
async def test_text_that_wants_to_be_more(
    client: httpx.AsyncClient, caller: Callers, operations: list[Any], written: Callable[[], str], text: str
) -> None:
    """In each path parameter, each query parameter, and the headers that are read."""
    known = await caller(3)
    headers = {**known.headers, "If-Match": "*"}
    for method, path, _ in operations:
        for url in [filled(path, text)] * ("{" in path):
            response = await client.request(method, url, headers=headers)
            assert_problem(response, 404 if response.status_code == 404 else 422, response.json()["code"])
            assert CANARY not in response.text
    queries = [
        (filled(path), parameter["name"])
        for method, path, operation in operations
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and method == "GET"
    ]
    assert len(queries) > 20
    for url, name in queries:
        query = {"lat": "0", "lon": "0", name: text}
        response = await client.get(url, params=query, headers=known.headers)
        assert response.status_code in {200, 404, 422}, (url, name)
        assert CANARY not in response.text
    assert "/api/v1/" in written()
    assert CANARY not in written()


@pytest.mark.parametrize("name", ["If-Match", "Idempotency-Key", "Authorization", "X-Request-ID", "Cookie"])
@pytest.mark.parametrize("text", INJECTIONS[:3], ids=range(3))
async def test_headers_that_want_to_be_more(
    client: httpx.AsyncClient, caller: Callers, written: Callable[[], str], name: str, text: str
) -> None:
    known = await caller(3)
    headers = {**known.headers, name: text}
    for method in ("PATCH", "DELETE"):
        path = f"/api/v1/officers/{uuid4()}"
        response = await client.request(method, path, json={"rank": "x"}, headers=headers)
        assert_problem(response, response.status_code, response.json()["code"])
        assert 400 <= response.status_code < 500
        assert CANARY not in response.text
        assert CANARY not in str(response.headers)
    response = await client.post("/api/v1/officers", json={}, headers=headers)
    assert response.status_code in {401, 422}
    assert CANARY not in response.text
    assert "/api/v1/" in written()
    assert CANARY not in written()


async def test_values_of_a_valid_body_stay_out_of_the_log(
    client: httpx.AsyncClient, caller: Callers, written: Callable[[], str]
) -> None:
    known = await caller(3)
    body = officer(rank=CANARY)
    body["person"]["first_name"] = CANARY
    made = await client.post("/api/v1/officers", json=body, headers=known.headers)
    assert made.status_code == 201
    body["person"] = {**body["person"], "dni": CANARY, "password": CANARY}
    assert_problem(await client.post("/api/v1/officers", json=body, headers=known.headers), 422, "invalid")
    assert "/api/v1/" in written()
    assert CANARY not in written()


RAW = {
    "bad utf-8 in the path": b"GET /api/v1/officers/\xff\xfe HTTP/1.1\r\nHost: gad.example\r\n\r\n",
    "bad utf-8 in the query": b"GET /api/v1/officers?q=\xff HTTP/1.1\r\nHost: gad.example\r\n\r\n",
    "bad utf-8, escaped": b"GET /a/%FF%C0 HTTP/1.1\r\nHost: gad.example\r\n\r\n",
    "nul in the path": b"GET /api/v1/officers/\x00 HTTP/1.1\r\nHost: gad.example\r\n\r\n",
    "nul, escaped": b"GET /api/v1/officers/%00 HTTP/1.1\r\nHost: gad.example\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nHost: gad.example\r\n\r\n",
    "another protocol": b"GET / GOPHER/9\r\n\r\n",
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    "two lengths": b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "length and chunks": b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked"
    b"\r\n\r\n0\r\n\r\n",
    "negative length": b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "folded header": b"GET /x HTTP/1.1\r\nHost: x\r\nX-Request-ID: aaaaaaaa\r\n bbbbbbbb\r\n\r\n",
    "method unknown": b"BREW /api/v1/officers HTTP/1.1\r\nHost: gad.example\r\n\r\n",
    "absolute target": b"GET http://evil.example/api/v1/officers HTTP/1.1\r\nHost: gad.example\r\n\r\n",
}


def test_bytes_that_are_no_request(stores: Stores, tmp_path: Path) -> None:
    """Against the real server: it refuses, tells nothing, and goes on serving."""
    with served(environment(stores, tmp_path), tmp_path) as api:
        answers = {}
        for name, content in RAW.items():
            where = (api.public.base_url.host, api.public.base_url.port or 0)
            with socket.create_connection(where, timeout=5) as line:
                line.sendall(content)
                line.shutdown(socket.SHUT_WR)
                answers[name] = line.recv(65536).split(b"\r\n", 1)[0]
            assert api.public.get("/health/live").status_code == 200, name
        refused = {name: answer for name, answer in answers.items() if answer}
        assert {answer.split(b" ")[1] for answer in refused.values()} <= {b"400", b"401", b"404", b"405"}
        log = [json.loads(line) for line in api.log.read_text().splitlines()]
        assert [line for line in log if "error" in line or line["level"] == "error"] == []
