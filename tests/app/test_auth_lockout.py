"""Five wrong passwords: counted in the database, the same for everybody, known or not."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from bodies import Token, assert_problem, person
from stores import Stores, rows

from app.main import Process
from app.metrics import AUTH_FAILURES, REGISTRY

LOGIN = "/api/v1/auth/login"
PASSWORD = "ocho caballos verdes"  # pragma: allowlist secret
WRONG = "canary-4711-wrong"  # pragma: allowlist secret


async def account(client: httpx.AsyncClient, token: Token, **changes: object) -> dict[str, Any]:
    body = person(password=PASSWORD, **changes)
    made = await client.post("/api/v1/users", json=body, headers=token(3))
    assert made.status_code == 201, made.text
    return {**body, "uuid": made.json()["uuid"]}


async def try_in(client: httpx.AsyncClient, email: str, password: str = WRONG) -> httpx.Response:
    return await client.post(LOGIN, json={"email": email, "password": password})


def seen_from_outside(response: httpx.Response) -> tuple[object, ...]:
    body = response.json()
    body.pop("request_id")
    names = sorted(set(response.headers) - {"x-request-id"})
    return response.status_code, body, names, response.headers.get("retry-after")


async def test_the_right_password_after_five_failures_is_429(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    user = await account(client, token)
    for _ in range(5):
        assert_problem(await try_in(client, user["email"]), 401, "credentials_refused")
    refused = await try_in(client, user["email"].upper(), PASSWORD)
    assert_problem(refused, 429, "login_locked")
    assert 1790 <= int(refused.headers["retry-after"]) <= 1800
    [row] = await rows(stores, "SELECT * FROM users WHERE uuid = $1", UUID(user["uuid"]))
    assert (row["failed_attempts"], row["locked_until"] is not None) == (5, True)
    assert (row["version"], row["updated_at"]) == (1, row["created_at"])
    found = await rows(
        stores,
        "SELECT type, severity, success, payload->>'reason' AS reason FROM audit_events"
        " WHERE resource = $1 AND type LIKE 'auth.%' ORDER BY id",
        f"user/{user['uuid']}",
    )
    assert [tuple(each) for each in found] == [
        *[("auth.login", "medium", False, None)] * 5,
        ("auth.locked", "high", False, None),
    ]


async def test_known_and_unknown_look_the_same_from_outside(client: httpx.AsyncClient, token: Token) -> None:
    known = await account(client, token)
    unverified = await account(client, token, verified=False)
    emails = (known["email"], unverified["email"], f"nadie.{uuid4().hex}@distrito.example")
    answers = []
    for email in emails:
        tries = [await try_in(client, email, PASSWORD if email == emails[1] else WRONG) for _ in range(7)]
        answers.append([seen_from_outside(each) for each in tries])
    statuses = [each[0] for each in answers[0]]
    assert statuses == [401] * 5 + [429] * 2
    assert [each[:3] for each in answers[0]] == [each[:3] for each in answers[1]]
    assert [each[:3] for each in answers[0]] == [each[:3] for each in answers[2]]
    waits = [int(str(each[3])) for found in answers for each in found[5:]]
    assert max(waits) - min(waits) <= 5


async def test_an_unknown_email_is_counted_in_any_case_and_stored_as_a_digest(
    client: httpx.AsyncClient, stores: Stores, process: Process
) -> None:
    email = f"Nadie.{uuid4().hex}@distrito.example"
    for each in (email, email.lower(), email.upper(), email, email):
        assert_problem(await try_in(client, each), 401, "credentials_refused")
    assert_problem(await try_in(client, email), 429, "login_locked")
    digest = process.api.state.vault.digest("email", email.lower())
    [row] = await rows(stores, "SELECT * FROM login_failures WHERE email_hmac = $1", digest)
    assert row["failed_attempts"] == 5
    everything = await rows(stores, "SELECT f::text FROM login_failures f")
    assert [each for each in everything if "distrito" in each[0]] == []


@pytest.mark.parametrize("is_known", [True, False])
async def test_no_more_than_five_are_answered_however_many_come_at_once(
    client: httpx.AsyncClient, token: Token, is_known: bool
) -> None:
    email = (await account(client, token))["email"] if is_known else f"nadie.{uuid4().hex}@distrito.example"
    answers = await asyncio.gather(*(try_in(client, email) for _ in range(20)))
    assert sorted(each.status_code for each in answers) == [401] * 5 + [429] * 15
    assert_problem(await try_in(client, email, PASSWORD), 429, "login_locked")


async def test_a_login_forgives_four_failures(client: httpx.AsyncClient, token: Token) -> None:
    user = await account(client, token)
    for _ in range(2):
        statuses = [(await try_in(client, user["email"])).status_code for _ in range(4)]
        assert statuses == [401] * 4
        assert (await try_in(client, user["email"], PASSWORD)).status_code == 200


@pytest.mark.parametrize("is_known", [True, False])
async def test_after_half_an_hour_the_count_begins_anew(
    client: httpx.AsyncClient, token: Token, stores: Stores, process: Process, is_known: bool
) -> None:
    email = (await account(client, token))["email"] if is_known else f"nadie.{uuid4().hex}@distrito.example"
    for _ in range(5):
        await try_in(client, email)
    assert_problem(await try_in(client, email), 429, "login_locked")
    await rows(stores, "UPDATE users SET locked_until = now() - interval '1 s' WHERE email = $1", email)
    digest = process.api.state.vault.digest("email", email)
    past = "UPDATE login_failures SET locked_until = now() - interval '1 s' WHERE email_hmac = $1"
    await rows(stores, past, digest)
    assert [(await try_in(client, email)).status_code for _ in range(6)] == [401] * 5 + [429]


async def test_who_is_locked_out_meanwhile_stays_logged_in_where_they_are(
    client: httpx.AsyncClient, token: Token
) -> None:
    user = await account(client, token)
    login = await try_in(client, user["email"], PASSWORD)
    for _ in range(5):
        await try_in(client, user["email"])
    headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
    assert (await client.get("/api/v1/users/me", headers=headers)).status_code == 200


async def test_a_stolen_token_guesses_no_password(
    client: httpx.AsyncClient, token: Token, process: Process
) -> None:
    """/reauth and /password count with the login: together no more than five."""
    user = await account(client, token)
    headers = token(1, user["uuid"])
    for _ in range(3):
        wrong = await client.post("/api/v1/auth/reauth", json={"password": WRONG}, headers=headers)
        assert_problem(wrong, 403, "password_refused")
    change = {"old_password": WRONG, "new_password": "nueve mulas grises"}  # pragma: allowlist secret
    assert_problem(
        await client.post("/api/v1/auth/password", json=change, headers=headers), 403, "password_refused"
    )
    assert_problem(await try_in(client, user["email"]), 401, "credentials_refused")
    right = {"password": PASSWORD}
    assert_problem(await client.post("/api/v1/auth/reauth", json=right, headers=headers), 429, "login_locked")
    assert_problem(
        await client.post("/api/v1/auth/password", json=change, headers=headers), 429, "login_locked"
    )


async def test_nobody_can_prove_what_has_no_password(
    client: httpx.AsyncClient, token: Token, process: Process
) -> None:
    made = await client.post("/api/v1/users", json=person(), headers=token(3))
    headers = token(1, made.json()["uuid"])
    for guess in ("!", "x" * 12):
        refused = await client.post("/api/v1/auth/reauth", json={"password": guess}, headers=headers)
        assert_problem(refused, 403, "password_refused")


def failures(reason: str) -> float:
    found = REGISTRY.get_sample_value("gad_auth_failures_total", {"reason": reason})
    assert found is not None, reason  # it starts at 0, so that the first is a rise
    return found


async def test_refusals_are_counted_by_their_reason(client: httpx.AsyncClient) -> None:
    email = f"nadie.{uuid4().hex}@distrito.example"
    before = {reason: failures(reason) for reason in AUTH_FAILURES}
    for _ in range(7):
        await try_in(client, email)
    await client.post("/api/v1/auth/refresh", headers={"Cookie": "gad_refresh=x"})
    risen = {reason: failures(reason) - count for reason, count in before.items() if failures(reason) > count}
    assert risen == {"credentials": 5, "locked": 2, "refresh": 1}
