"""Callers and bodies that the API accepts, each body unlike any other of the run."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx

from app.main import Process
from app.user.models import Level

HOST = "gad.example"
ORIGIN = "https://gad.example"

Token = Callable[..., dict[str, str]]

_numbers = itertools.count(1)


def bearer(process: Process, level: int, user: UUID) -> dict[str, str]:
    """Headers with an access token."""
    token = process.api.state.tokens.issue(user, Level(level), session=uuid4())
    return {"Authorization": f"Bearer {token}"}


def person(**changes: object) -> dict[str, Any]:
    """For POST /users."""
    number = next(_numbers)
    return {
        "email": f"persona.{number}@distrito.example",
        "first_name": "Ana",
        "last_name": "Guamán",
        "dni": f"17{number:08d}",
        **changes,
    }


def officer(**changes: object) -> dict[str, Any]:
    """For POST /officers, with a new person."""
    return {
        "internal_code": f"TST-{next(_numbers):05d}",
        "person": person(),
        "position": {"lat": -0.2, "lon": -78.5, "at": "2026-01-01T00:00:00Z"},
        **changes,
    }


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is that problem in full form, and nothing else; returns its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:gad:problem:{code}")
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["title"]
    assert body["detail"]
    return body
