"""The document others build on: complete, with examples, and true."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from bodies import HOST, assert_problem
from conftest import settings_for
from jsonschema_rs import Draft202012Validator
from stores import Stores

from app.main import Process, build
from app.openapi import statuses_of
from app.policy import ANYONE, L1, L3, OWN_OR_L2, RULES

Operation = dict[str, Any]
PROBLEM = "application/problem+json"


@pytest.fixture
def document(process: Process) -> dict[str, Any]:
    made: dict[str, Any] = process.api.openapi()
    return made


def operations(document: dict[str, Any]) -> dict[tuple[str, str], Operation]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def headers_of(operation: Operation) -> set[str]:
    return {each["name"].lower() for each in operation.get("parameters", ()) if each["in"] == "header"}


def contents(operation: Operation) -> list[dict[str, Any]]:
    """What the operation takes and, when all is well, answers as JSON."""
    told = [operation["requestBody"]] if "requestBody" in operation else []
    told += [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    found = [part.get("content", {}).get("application/json") for part in told]
    return [content for content in found if content is not None]


def examples_in(content: dict[str, Any], document: dict[str, Any]) -> list[Any]:
    """Of the content itself, else of the component it refers to."""
    if "example" in content:
        return [content["example"]]
    schema = content.get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    schema = document["components"]["schemas"][name] if name else schema
    return list(schema.get("examples", ()))


def test_every_route_is_in_it_with_its_level(document: dict[str, Any]) -> None:
    found = operations(document)
    shown = {key for key in RULES if key[1].startswith(("/api/", "/health/"))}
    assert set(found) == shown
    for key, operation in found.items():
        level = RULES[key].level
        assert operation["x-gad-level"] == (0 if level is None else int(level)), key
        assert operation["security"] == ([] if level is None else [{"bearer": []}]), key
        assert operation["summary"], key


def test_every_refusal_is_a_problem_with_an_example(document: dict[str, Any]) -> None:
    for key, operation in operations(document).items():
        refusals = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
        for status, answer in refusals.items():
            assert set(answer["content"]) == {PROBLEM}, (key, status)
            content = answer["content"][PROBLEM]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert content["example"]["status"] == int(status), (key, status)
    assert "HTTPValidationError" not in json.dumps(document)


def test_every_operation_tells_what_its_class_can_refuse(document: dict[str, Any]) -> None:
    for key, operation in operations(document).items():
        answers = set(operation["responses"])
        level = RULES[key].level
        classes = {
            "401": level is not None,
            "403": level is not None,
            "404": "{" in key[1],
            "409": "idempotency-key" in headers_of(operation),
            "412": "if-match" in headers_of(operation),
            "413": "requestBody" in operation,
            "422": "requestBody" in operation or bool(operation.get("parameters")),
            "428": "if-match" in headers_of(operation),
            "429": not key[1].startswith("/health/"),
            "503": key[1] != "/health/live",
        }
        assert {status for status, applies in classes.items() if applies} <= answers, key
        assert ("Retry-After" in operation["responses"].get("429", {}).get("headers", {})) is classes["429"]


def test_changes_ask_for_their_headers(document: dict[str, Any]) -> None:
    found = operations(document)
    patches = {key: headers_of(operation) for key, operation in found.items() if key[0] == "PATCH"}
    assert {key for key, headers in patches.items() if "if-match" not in headers} == set()
    created = {key: operation for key, operation in found.items() if "201" in operation["responses"]}
    assert created
    for key, operation in created.items():
        assert "Location" in operation["responses"]["201"]["headers"], key


@pytest.mark.parametrize(
    ("path", "rule", "operation", "wanted"),
    [
        ("/health/live", ANYONE, {}, []),
        ("/health/deep", L3, {}, [401, 403, 503]),
        ("/api/v1/x", L1, {}, [401, 403, 429, 503]),
        ("/api/v1/x", ANYONE, {"requestBody": {}}, [413, 422, 429, 503]),
        (
            "/api/v1/x/{x}",
            OWN_OR_L2,
            {"parameters": [{"in": "path", "name": "x"}, {"in": "header", "name": "If-Match"}]},
            [401, 403, 404, 412, 422, 428, 429, 503],
        ),
        (
            "/api/v1/x",
            L1,
            {"parameters": [{"in": "header", "name": "Idempotency-Key"}]},
            [401, 403, 409, 413, 422, 429, 503],
        ),
    ],
)
def test_statuses_of(path: str, rule: Any, operation: Operation, wanted: list[int]) -> None:
    assert sorted(set(statuses_of(path, rule, operation))) == wanted


def test_every_body_and_answer_has_an_example(document: dict[str, Any]) -> None:
    bare = [
        key
        for key, operation in operations(document).items()
        for content in contents(operation)
        if not examples_in(content, document)
    ]
    assert bare == []


def test_every_example_is_valid(document: dict[str, Any]) -> None:
    wrong = []
    checked = 0
    for key, operation in operations(document).items():
        refusals = [
            answer["content"][PROBLEM]
            for status, answer in operation["responses"].items()
            if int(status) >= 400
        ]
        for content in (*contents(operation), *refusals):
            schema = {**content["schema"], "components": document["components"]}
            for example in examples_in(content, document):
                checked += 1
                faults = Draft202012Validator(schema).iter_errors(example)
                wrong += [(key, fault.instance_path, fault.message) for fault in faults]
    assert wrong == []
    assert checked > 50


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(document["components"]["schemas"])
    assert {"Problem", "FieldError"} <= names


def test_levels_are_the_tables(document: dict[str, Any]) -> None:
    own = {key: operation.get("x-gad-own-below") for key, operation in operations(document).items()}
    assert own == {key: RULES[key].own_below for key in own}
    assert own["GET", "/api/v1/officers/{officer_id}"] == 2


def test_what_has_a_version_comes_with_its_etag(document: dict[str, Any]) -> None:
    """That they all send it, test_schema_fuzz.py says: a required header."""
    headers = {
        key: answer.get("headers", {}).get("ETag", {})
        for key, operation in operations(document).items()
        for status, answer in operation["responses"].items()
        if status.startswith("2")
    }
    with_etag = {key for key, header in headers.items() if header.get("required")}
    changes = {key for key in headers if key[0] == "PATCH"}
    assert with_etag >= changes | {("GET", path) for _, path in changes}
    assert ("POST", "/api/v1/tasks/{task_id}/start") in with_etag
    assert not with_etag & {("GET", "/health/ready"), ("GET", "/api/v1/stats/users/{user_id}")}


async def test_the_reference_is_whole_and_of_this_site(stores: Stores) -> None:
    process = build(settings_for(stores))
    transport = httpx.ASGITransport(app=process.public)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
        page = await client.get("/docs")
        parts = re.findall(r'(?:src|href)="([^"]*)"', page.text)
        found = {part: await client.get(part) for part in parts if not part.startswith("data:")}
        assert_problem(await client.get("/docs/favicon.png"), 404, "not_found")
        assert_problem(await client.get("/docs/..%2Fcore.py"), 404, "not_found")
    await process.close()
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "<script>" not in page.text  # the policy forbids it
    types = {part: (answer.status_code, answer.headers["content-type"]) for part, answer in found.items()}
    script, style = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
    assert types == {
        "/docs/swagger-ui.css": (200, style),
        "/docs/swagger-ui-bundle.js": (200, script),
        "/docs/start.js": (200, script),
    }
    assert "SwaggerUIBundle" in found["/docs/swagger-ui-bundle.js"].text


async def test_production_shows_no_document(stores: Stores) -> None:
    process = build(settings_for(stores, env="production"))
    transport = httpx.ASGITransport(app=process.public)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
        for path in ("/openapi.json", "/docs", "/docs/start.js", "/redoc"):
            assert_problem(await client.get(path), 404, "not_found")
    await process.close()
