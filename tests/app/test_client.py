"""The typed client against the document that the application gives: each path, member and header exists."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import infra.client
from app.main import Process
from infra.client.api import Api
from infra.client.failures import NotServed, Refused, Unexpected
from infra.client.operation import Nothing, Operation
from infra.client.people import READ_ME, NewUser
from infra.client.session import Session


def operations() -> dict[str, Operation[Any]]:
    """Every operation that a module of the client names."""
    found = {}
    for info in pkgutil.iter_modules(infra.client.__path__):
        module = importlib.import_module(f"infra.client.{info.name}")
        for name, value in vars(module).items():
            found |= {f"{info.name}.{name}": value} if isinstance(value, Operation) else {}
    return found


OPERATIONS = {str(operation): operation for operation in operations().values()}


@pytest.fixture
def document(process: Process) -> dict[str, Any]:
    made: dict[str, Any] = process.api.openapi()
    return made


def plain(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema without the reference, or the null, around it."""
    if "$ref" in schema:
        return plain(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return plain(choices[0], definitions) if len(choices) == 1 else schema


def gaps(
    ours: dict[str, Any], theirs: dict[str, Any], own: dict[str, Any], public: dict[str, Any], where: str
) -> Iterator[str]:
    """Members that we name and they do not, or of another kind; at any depth."""
    ours, theirs = plain(ours, own), plain(theirs, public)
    kinds = ours.get("type"), theirs.get("type")
    if kinds[0] != kinds[1] and set(kinds) != {"integer", "number"}:
        yield f"{where}: {kinds[0]} here, {kinds[1]} there"
    if kinds[0] == "array":
        yield from gaps(ours["items"], theirs["items"], own, public, f"{where}[]")
    for name, schema in ours.get("properties", {}).items():
        if name not in theirs.get("properties", {}):
            yield f"{where}.{name}: unknown there"
        else:
            yield from gaps(schema, theirs["properties"][name], own, public, f"{where}.{name}")


def compared(model: Any, schema: dict[str, Any], public: dict[str, Any], where: str) -> list[str]:
    ours = model.model_json_schema(mode="serialization")
    return [*gaps(ours, schema, ours.get("$defs", {}), public, where)]


def described(document: dict[str, Any], operation: Operation[Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][operation.path][operation.method.lower()]
    return found


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_what_is_asked_exists(document: dict[str, Any], name: str) -> None:
    operation, schemas = OPERATIONS[name], document["components"]["schemas"]
    there = described(document, operation)
    parameters = {(p["in"], p["name"].lower()): p["required"] for p in there.get("parameters", ())}
    asked = {("query", query) for query in operation.query}
    asked |= {("header", "idempotency-key")} if operation.is_once else set()
    asked |= {("header", "if-match")} if operation.is_versioned else set()
    assert asked <= set(parameters)
    assert {key for key, required in parameters.items() if required and key[0] != "path"} <= asked
    body = there.get("requestBody")
    assert (body is not None and body.get("required", False)) <= (operation.body is not None)
    schema = body["content"]["application/json"]["schema"] if body else {}
    found = compared(operation.body, schema, schemas, name) if operation.body else []
    assert found == []
    needed = set(plain(schema, schemas).get("required", ()))
    assert needed <= set(operation.body.model_fields if operation.body else ())


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_what_is_answered_is_understood(document: dict[str, Any], name: str) -> None:
    operation, schemas = OPERATIONS[name], document["components"]["schemas"]
    answer = described(document, operation)["responses"][str(operation.status)]
    content = answer.get("content", {}).get("application/json")
    assert (content is None) == (operation.answer is Nothing)
    schema = content["schema"] if content else {"type": "object"}
    assert compared(operation.answer, schema, schemas, name) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "gap"),
    [
        ({"type": "string"}, {"type": "integer"}, "x: string here, integer there"),
        ({"type": "object", "properties": {"a": {}}}, {"type": "object"}, "x.a: unknown there"),
        (
            {"type": "array", "items": {"type": "object", "properties": {"a": {}}}},
            {"type": "array", "items": {"type": "object", "properties": {"b": {}}}},
            "x[].a: unknown there",
        ),
    ],
)
def test_a_difference_is_found(ours: dict[str, Any], theirs: dict[str, Any], gap: str) -> None:
    assert [*gaps(ours, theirs, {}, {}, "x")] == [gap]


class Answers:
    """Gives one answer after another, and keeps what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.asked]


ME = {"uuid": "u", "email": "e", "first_name": "f", "last_name": "l", "level": 1, "version": 3}
OK = httpx.codes.OK


def token(name: str, **headers: str) -> httpx.Response:
    return httpx.Response(OK, json={"access_token": name, "expires_in": 900}, headers=headers)


def refusal(status: int, code: str, **headers: str) -> httpx.Response:
    body = {"code": code, "detail": "No.", "request_id": "r1"}
    return httpx.Response(status, json=body, headers=headers)


def session(answers: Answers, attempts: int = 3) -> Session:
    client = httpx.AsyncClient(base_url="https://gad.example", transport=httpx.MockTransport(answers))
    return Session(client, "a@gad.example", lambda: "x", attempts=attempts)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("infra.client.session.asyncio.sleep", sleep)
    return waited


async def test_an_expired_token_is_renewed_by_the_cookie_before_the_password_is_asked() -> None:
    cookie = {"Set-Cookie": "gad_refresh=r; Path=/; Secure; HttpOnly"}
    answers = Answers(
        token("one", **cookie), refusal(401, "unauthenticated"), token("two"), httpx.Response(OK, json=ME)
    )
    assert (await Api(session(answers)).me()).version == 3
    assert answers.paths == [
        "POST /api/v1/auth/login",
        "GET /api/v1/users/me",
        "POST /api/v1/auth/refresh",
        "GET /api/v1/users/me",
    ]
    assert answers.asked[2].headers["cookie"] == "gad_refresh=r"
    assert answers.asked[3].headers["authorization"] == "Bearer two"


async def test_a_dead_cookie_leads_to_the_password() -> None:
    cookie = {"Set-Cookie": "gad_refresh=r; Path=/; Secure; HttpOnly"}
    refused = refusal(401, "unauthenticated")
    answers = Answers(
        token("one", **cookie),
        refused,
        refusal(401, "session_ended"),
        token("two"),
        httpx.Response(OK, json=ME),
    )
    await Api(session(answers)).me()
    assert answers.paths[3] == "POST /api/v1/auth/login"


async def test_a_repeat_carries_the_same_key_and_waits_as_asked(waits: list[float]) -> None:
    answers = Answers(
        token("one"),
        httpx.ReadTimeout("lost"),
        refusal(409, "idempotency_in_flight"),
        httpx.Response(201, json=ME),
    )
    body = NewUser(email="e@gad.example", first_name="f", last_name="l", dni="1710034065")
    await Api(session(answers)).create_user(body)
    keys = {request.headers["idempotency-key"] for request in answers.asked[1:]}
    assert (len(keys), len(waits)) == (1, 2)
    answers = Answers(
        token("one"), refusal(429, "rate_limited", **{"Retry-After": "9"}), httpx.Response(OK, json=ME)
    )
    await Api(session(answers)).me()
    assert waits[-1] == 9.0


@pytest.mark.parametrize(
    ("answers", "error", "says"),
    [
        ([refusal(403, "forbidden")], Refused, "GET /api/v1/users/me was refused: 403 forbidden"),
        ([httpx.Response(OK, text="<html>")], Unexpected, "answered something else"),
        ([httpx.ConnectError("refused")] * 3, NotServed, "in 3 attempts .ConnectError"),
    ],
)
async def test_a_failure_says_which_request(
    waits: list[float], answers: list[httpx.Response | Exception], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await session(Answers(token("one"), *answers)).call(READ_ME)
