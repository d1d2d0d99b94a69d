"""Logging in, tokens, and who may call what."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import time
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from bodies import ORIGIN, Callers, Token, assert_problem, person
from stores import Stores

from app.auth.tokens import LIFETIME_S, key_id
from app.main import Process, routes_of
from app.policy import RULES, Rule
from app.settings import Settings
from app.user.models import Level

LOGIN = "/api/v1/auth/login"
PASSWORD = "ocho caballos verdes"


async def with_password(client: httpx.AsyncClient, token: Token, **changes: object) -> dict[str, Any]:
    body = person(password=PASSWORD, **changes)
    made = await client.post("/api/v1/users", json=body, headers=token(3))
    assert made.status_code == 201, made.text
    return {**body, "uuid": made.json()["uuid"]}


async def test_a_login_opens_the_own_account(client: httpx.AsyncClient, token: Token) -> None:
    user = await with_password(client, token, level=2)
    answer = await client.post(LOGIN, json={"email": user["email"].upper(), "password": PASSWORD})
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", LIFETIME_S)
    assert answer.headers["cache-control"] == "no-store"

    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    me = await client.get("/api/v1/users/me", headers=headers)
    assert me.json()["uuid"] == user["uuid"]
    claims = jwt.decode(answer.json()["access_token"], options=UNVERIFIED)
    assert set(claims) == {"iss", "aud", "sub", "sid", "lvl", "jti", "iat", "nbf", "exp"}
    assert (claims["lvl"], claims["exp"] - claims["iat"]) == (2, LIFETIME_S)


async def test_every_refused_login_looks_the_same(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    known = await with_password(client, token)
    unverified = await with_password(client, token, verified=False)
    deleted = await with_password(client, token)
    await asyncio.to_thread(stores.stamp, "users", "deleted_at", deleted["uuid"])
    no_password = person()
    await client.post("/api/v1/users", json=no_password, headers=token(3))

    bodies = []
    for email, password in (
        (known["email"], "another one entirely"),
        ("nadie@distrito.example", PASSWORD),
        (unverified["email"], PASSWORD),
        (deleted["email"], PASSWORD),
        (no_password["email"], "!"),
        (no_password["email"], PASSWORD),
        ("not an address'--"[:8], PASSWORD),
    ):
        response = await client.post(LOGIN, json={"email": email.replace(" ", "."), "password": password})
        body = assert_problem(response, 401, "credentials_refused")
        body.pop("request_id")
        bodies.append(body)
    assert all(body == bodies[0] for body in bodies)


async def test_a_login_from_a_foreign_page_is_refused(client: httpx.AsyncClient, token: Token) -> None:
    user = await with_password(client, token)
    body = {"email": user["email"], "password": PASSWORD}
    refused = await client.post(LOGIN, json=body, headers={"Origin": "https://evil.example"})
    assert_problem(refused, 403, "origin_refused")
    assert (await client.post(LOGIN, json=body, headers={"Origin": ORIGIN})).status_code == 200


async def test_no_password_in_a_422(client: httpx.AsyncClient) -> None:
    response = await client.post(LOGIN, json={"email": "a@b.example", "password": {"text": "canary-4711"}})
    assert_problem(response, 422, "invalid")
    assert "canary-4711" not in response.text


def forged(settings: Settings, changes: dict[str, Any], *, key: str | None = None, **header: Any) -> str:
    """A token as we would issue it, with changes; a claim set to None is left out."""
    now = int(time.time())
    secret = key or settings.jwt_secret.get_secret_value()
    claims = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": str(uuid4()),
        "sid": str(uuid4()),
        "lvl": 3,
        "jti": uuid4().hex,
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME_S,
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, secret, "HS256", headers={"kid": key_id(secret), **header})


def encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def signed(header: dict[str, Any], claims: str, secret: str) -> str:
    """A correct HS256 signature over a header that the library would not write."""
    text = f"{encoded(header)}.{claims}"
    digest = hmac.digest(secret.encode(), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


async def opens(client: httpx.AsyncClient, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await client.get("/api/v1/officers?limit=1", headers=headers)


async def test_both_keys_open(client: httpx.AsyncClient, settings: Settings, token: Token) -> None:
    assert settings.jwt_previous is not None
    stored = jwt.decode(token(3)["Authorization"].split()[1], options=UNVERIFIED)
    assert (await opens(client, forged(settings, stored))).status_code == 200
    previous = settings.jwt_previous.get_secret_value()
    assert (await opens(client, forged(settings, stored, key=previous))).status_code == 200
    nobodys = forged(settings, {**stored, "sid": str(uuid4())})
    assert_problem(await opens(client, nobodys), 401, "session_ended")


UNVERIFIED: Any = {"verify_signature": False}


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"aud": ["gad-test", "other"]},
        {"exp": "soon"},
        {"exp": 1e400},
        {"lvl": 4},
        {"lvl": 0},
        {"lvl": "3"},
        {"sub": "1"},
        {"sub": 1},
        {"sid": "x"},
        *({name: None} for name in ("iss", "aud", "sub", "sid", "lvl", "jti", "iat", "nbf", "exp")),
    ],
    ids=repr,
)
async def test_a_wrong_claim_opens_nothing(
    client: httpx.AsyncClient, settings: Settings, changes: dict[str, Any]
) -> None:
    response = await opens(client, forged(settings, changes))
    assert_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "seconds_from_now",
    [
        {"exp": -3600, "iat": -4000, "nbf": -4000},
        {"nbf": 3600},
        {"iat": 3600, "exp": 4000},
        {"exp": 10 * 365 * 86400},
    ],
    ids=repr,
)
async def test_a_skewed_clock_opens_nothing(
    client: httpx.AsyncClient, settings: Settings, seconds_from_now: dict[str, int]
) -> None:
    now = int(time.time())
    changes = {name: now + seconds for name, seconds in seconds_from_now.items()}
    assert_problem(await opens(client, forged(settings, changes)), 401, "unauthenticated")


async def test_a_wrong_signature_opens_nothing(client: httpx.AsyncClient, settings: Settings) -> None:
    good = forged(settings, {})
    head, claims, signature = good.split(".")
    secret = settings.jwt_secret.get_secret_value()
    kid = key_id(secret)
    none = encoded({"alg": "none", "typ": "JWT", "kid": kid})
    for token in (
        forged(settings, {}, key="k" * 48),
        forged(settings, {}, kid=key_id("k" * 48)),
        signed({"alg": "HS256"}, claims, secret),
        signed({"alg": "HS256", "kid": ["x"]}, claims, secret),
        signed({"alg": "HS256", "kid": kid, "crit": ["x"], "x": 1}, claims, secret),
        jwt.encode(jwt.decode(good, options=UNVERIFIED), secret, "HS512", headers={"kid": kid}),
        f"{none}.{claims}.",
        f"{none}.{claims}.{signature}",
        f"{encoded({'alg': 'None', 'kid': kid})}.{claims}.{signature}",
        f"{head}.{encoded({'lvl': 3})}.{signature}",
        f"{head}.{claims}.{signature[:-2]}",
        f"{head}.{claims}",
        "a.b.c",
        "..",
        "é",
        "A" * 9000,
    ):
        response = await client.get(
            "/api/v1/officers", headers=[(b"authorization", f"Bearer {token}".encode())]
        )
        assert_problem(response, 401, "unauthenticated")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x"])
async def test_no_token_is_401(client: httpx.AsyncClient, header: str) -> None:
    assert_problem(
        await client.get("/api/v1/users/me", headers={"Authorization": header}), 401, "unauthenticated"
    )


GUARDED = sorted((key, rule) for key, rule in RULES.items() if rule.level is not None)
ANYONE = sorted(key for key, rule in RULES.items() if rule.level is None)


@pytest.mark.parametrize("level", [0, *Level])
@pytest.mark.parametrize(("key", "rule"), GUARDED, ids=str)
async def test_every_route_by_level(
    client: httpx.AsyncClient, caller: Callers, key: tuple[str, str], rule: Rule, level: int
) -> None:
    """0 is nobody. The body is no JSON, so that whoever passes the guard fails later, and 401 comes first.

    Whoever may reach only their own is refused what does not exist too, if the noun asks that first.
    """
    method, path = key
    url = re.sub(r"\{\w+\}", str(uuid4()), path)
    headers = (await caller(level)).headers if level else {}
    response = await client.request(
        method, url, headers={**headers, "Content-Type": "application/json"}, content=b"{not json"
    )
    refused = {True: 401, False: 403}[level == 0]
    found = response.status_code if response.status_code in {401, 403} else None
    allowed = {None, 403} if level < int(rule.own_below or 0) else {None}
    assert found in ({refused} if level < int(rule.level or 0) else allowed), response.text
    assert response.status_code < 500


def test_the_table_covers_every_route_and_no_more(process: Process) -> None:
    assert {(method, path) for method, path, _ in routes_of(process.api)} == set(RULES)
    assert (
        sorted(
            [
                ("GET", "/docs"),
                ("GET", "/docs/{file}"),
                ("GET", "/health/live"),
                ("GET", "/health/ready"),
                ("GET", "/openapi.json"),
                ("POST", "/api/v1/auth/login"),
                ("POST", "/api/v1/auth/refresh"),
            ]
        )
        == ANYONE
    )
