"""Callers and bodies that the API accepts, each body unlike any other of the run."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from app.auth.models import Session
from app.main import Process
from app.officer.models import Officer
from app.user.models import Level
from app.user.repository import UserRepository
from app.user.service import NewUser, create_user

HOST = "gad.example"
ORIGIN = "https://gad.example"

Token = Callable[..., dict[str, str]]
Callers = Callable[..., Awaitable["Caller"]]

_numbers = itertools.count(1)


def bearer(process: Process, level: int, user: UUID, session: UUID) -> dict[str, str]:
    """Headers with an access token."""
    token = process.api.state.tokens.issue(user, Level(level), session=session)
    return {"Authorization": f"Bearer {token}"}


async def open_session(process: Process, user: UUID) -> UUID:
    """A session of a stored person, as a login opens it."""
    async with process.database.transaction() as session:
        person = await UserRepository(session).live(user)
        assert person is not None
        login = Session(user_id=person.id, expires_at=datetime.now(UTC) + timedelta(days=30))
        session.add(login)
        await session.flush()
        return login.uuid


@dataclass(frozen=True)
class Caller:
    """A stored person with a session: what they send, and who they are."""

    headers: dict[str, str]
    user: str
    officer: str | None
    session: UUID


async def new_caller(process: Process, level: int, *, is_officer: bool = False) -> Caller:
    """A person of this level who has just logged in; an available officer too if asked for."""
    number = next(_numbers)
    new = NewUser(
        email=f"sesion.{number}@distrito.example",
        first_name="Luz",
        last_name="Chimbo",
        level=Level(level),
        dni=f"09{number:08d}",
        phone=None,
        verified=True,
        password_hash="!",
    )
    async with process.database.transaction() as session:
        user = await create_user(UserRepository(session), process.api.state.vault, new)
        officer = Officer(user_id=user.id, internal_code=f"SES-{number:05d}") if is_officer else None
        session.add_all([officer] if officer is not None else [])
    login = await open_session(process, user.uuid)
    headers = bearer(process, level, user.uuid, login)
    return Caller(headers, str(user.uuid), str(officer.uuid) if officer is not None else None, login)


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
