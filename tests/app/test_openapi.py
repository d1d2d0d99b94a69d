"""The document others build on: complete, with examples, and true."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from bodies import HOST, assert_problem
from conftest import settings_for
from pydantic import TypeAdapter
from stores import Stores

from app.auth.schemas import LoginRequest, TokenAnswer
from app.main import Process, build
from app.officer.schemas import Nearby, NearbyOfficer, OfficerCreate, OfficerPage, OfficerRead
from app.policy import RULES
from app.user.schemas import UserCreate, UserRead


@pytest.fixture
def document(process: Process) -> dict[str, Any]:
    made: dict[str, Any] = process.api.openapi()
    return made


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_in_it_with_its_level(document: dict[str, Any]) -> None:
    found = operations(document)
    assert set(found) == set(RULES) - {("GET", "/openapi.json"), ("GET", "/docs")}
    for key, operation in found.items():
        level = RULES[key].level
        assert operation["x-gad-level"] == (0 if level is None else int(level)), key
        assert operation["security"] == ([] if level is None else [{"bearer": []}]), key
        assert operation["summary"], key


def test_every_refusal_is_a_problem(document: dict[str, Any]) -> None:
    for key, operation in operations(document).items():
        refusals = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
        for status, answer in refusals.items():
            assert answer["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }, (key, status)
        level = RULES[key].level
        wanted = (
            set() if level is None else {"401"} if int(level) == 1 and "{" not in key[1] else {"401", "403"}
        )
        assert wanted <= set(refusals), key
    assert "HTTPValidationError" not in json.dumps(document)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(document["components"]["schemas"])
    assert {"Problem", "FieldError"} <= names


@pytest.mark.parametrize(
    "model",
    [
        LoginRequest,
        TokenAnswer,
        UserCreate,
        UserRead,
        OfficerCreate,
        OfficerRead,
        OfficerPage,
        NearbyOfficer,
        Nearby,
    ],
)
def test_every_example_is_valid(model: Any) -> None:
    examples = model.model_config["json_schema_extra"]["examples"]
    assert examples
    for example in examples:
        TypeAdapter(model).validate_python(example)


async def test_production_shows_no_document(stores: Stores) -> None:
    process = build(settings_for(stores, env="production"))
    transport = httpx.ASGITransport(app=process.public)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
        for path in ("/openapi.json", "/docs", "/redoc"):
            assert_problem(await client.get(path), 404, "not_found")
    await process.close()
