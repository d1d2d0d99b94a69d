"""A session from login to its end: the cookie, its rotation, and everything that ends it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from bodies import ORIGIN, Token, assert_problem, person
from stores import Stores, rows

from app.logs import JsonFormatter
from app.main import Process

AUTH = "/api/v1/auth"
ME = "/api/v1/users/me"
PASSWORD = "ocho caballos verdes"  # pragma: allowlist secret
OTHER = "nueve mulas grises"  # pragma: allowlist secret


@dataclass
class Login:
    """What a browser holds."""

    email: str
    user: str
    headers: dict[str, str]
    cookie: str

    @property
    def session(self) -> UUID:
        token = self.headers["Authorization"].split()[1]
        return UUID(jwt.decode(token, options=UNVERIFIED)["sid"])


UNVERIFIED: Any = {"verify_signature": False}


def cookie_of(response: httpx.Response) -> str:
    return SimpleCookie(response.headers["set-cookie"])["gad_refresh"].value


async def post(client: httpx.AsyncClient, path: str, body: object = None, **headers: str) -> httpx.Response:
    client.cookies.clear()  # each request carries what the test says
    return await client.post(f"{AUTH}/{path}", json=body, headers=headers)


async def refresh(client: httpx.AsyncClient, cookie: str, **headers: str) -> httpx.Response:
    return await post(client, "refresh", Cookie=f"gad_refresh={cookie}", **headers)


async def log_in(client: httpx.AsyncClient, token: Token, **changes: object) -> Login:
    body = person(password=PASSWORD, **changes)
    made = await client.post("/api/v1/users", json=body, headers=token(3))
    assert made.status_code == 201, made.text
    return await again(client, body["email"], made.json()["uuid"])


async def again(client: httpx.AsyncClient, email: str, user: str, password: str = PASSWORD) -> Login:
    answer = await post(client, "login", {"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return Login(email, user, headers, cookie_of(answer))


async def is_in(client: httpx.AsyncClient, login: Login) -> bool:
    answer = await client.get(ME, headers=login.headers)
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def events(stores: Stores, resource: str) -> list[tuple[str, str, bool]]:
    found = await rows(
        stores, "SELECT type, severity, success FROM audit_events WHERE resource = $1 ORDER BY id", resource
    )
    return [tuple(each) for each in found]


async def test_the_cookie_is_for_browsers_only_and_in_no_body(
    client: httpx.AsyncClient, token: Token
) -> None:
    login = await log_in(client, token)
    answer = await refresh(client, login.cookie)
    assert answer.status_code == 200
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert attributes == {
        "httponly",
        "secure",
        "samesite=strict",
        "path=/api/v1/auth",
        f"max-age={7 * 86400}",
    }
    assert len(cookie_of(answer)) == 43  # 256 bits
    assert cookie_of(answer) not in answer.text


async def test_a_refresh_goes_on_with_the_same_session(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    login = await log_in(client, token, level=2)
    first = await refresh(client, login.cookie)
    second = await refresh(client, cookie_of(first))
    claims = jwt.decode(second.json()["access_token"], options=UNVERIFIED)
    assert (UUID(claims["sid"]), claims["sub"], claims["lvl"]) == (login.session, login.user, 2)
    stored = await rows(
        stores,
        "SELECT r.sha256, r.used_at, s.expires_at - s.created_at AS lasts FROM refresh_tokens r"
        " JOIN sessions s ON s.id = r.session_id WHERE s.uuid = $1 ORDER BY r.id",
        login.session,
    )
    assert [each["used_at"] is not None for each in stored] == [True, True, False]
    assert round(stored[0]["lasts"].total_seconds() / 86400) == 30
    assert all(len(each["sha256"]) == 32 for each in stored)


async def test_a_reused_refresh_token_ends_its_session(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    login = await log_in(client, token)
    untouched = await again(client, login.email, login.user)
    first = await refresh(client, login.cookie)
    assert_problem(await refresh(client, login.cookie), 401, "session_ended")
    assert_problem(await refresh(client, cookie_of(first)), 401, "session_ended")
    assert_problem(await client.get(ME, headers=login.headers), 401, "session_ended")
    assert await is_in(client, untouched)
    found = await events(stores, f"session/{login.session}")
    assert found == [("auth.refresh", "low", True), ("auth.refresh_reused", "critical", False)]


async def test_of_two_tabs_one_wins_and_the_session_goes_on(client: httpx.AsyncClient, token: Token) -> None:
    login = await log_in(client, token)
    answers = await asyncio.gather(*(refresh(client, login.cookie) for _ in range(5)))
    won = [each for each in answers if each.status_code == 200]
    assert len(won) == 1
    for lost in (each for each in answers if each.status_code != 200):
        assert_problem(lost, 409, "refresh_raced")
        assert lost.headers["retry-after"] == "1"
        assert "set-cookie" not in lost.headers
    assert await is_in(client, login)
    assert (await refresh(client, cookie_of(won[0]))).status_code == 200


@pytest.mark.parametrize("cookie", ["", "x", "A" * 43, "A" * 128])
async def test_a_cookie_that_is_none_of_ours(client: httpx.AsyncClient, cookie: str) -> None:
    assert_problem(await refresh(client, cookie), 401, "session_ended")


async def test_no_cookie_and_a_cookie_too_long(client: httpx.AsyncClient) -> None:
    assert_problem(await post(client, "refresh"), 401, "session_ended")
    assert_problem(await refresh(client, "A" * 129), 422, "invalid")


async def test_a_foreign_page_refreshes_nothing(client: httpx.AsyncClient, token: Token) -> None:
    login = await log_in(client, token)
    refused = await refresh(client, login.cookie, Origin="https://evil.example")
    assert_problem(refused, 403, "origin_refused")
    assert (await refresh(client, login.cookie, Origin=ORIGIN)).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        "sessions SET revoked_at = now() WHERE uuid = $1",
        "sessions SET expires_at = now() WHERE uuid = $1",
        "refresh_tokens t SET expires_at = now() FROM sessions s WHERE s.uuid = $1 AND s.id = t.session_id",
        "users u SET deleted_at = now() FROM sessions s WHERE s.uuid = $1 AND u.id = s.user_id",
        "users u SET verified = false FROM sessions s WHERE s.uuid = $1 AND u.id = s.user_id",
        "users u SET erased_at = now() FROM sessions s WHERE s.uuid = $1 AND u.id = s.user_id",
    ],
)
async def test_what_has_ended_is_not_renewed(
    client: httpx.AsyncClient, token: Token, stores: Stores, change: str
) -> None:
    login = await log_in(client, token)
    await rows(stores, f"UPDATE {change}", login.session)
    assert_problem(await refresh(client, login.cookie), 401, "session_ended")


async def test_a_session_near_its_end_lasts_no_longer_than_that(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    login = await log_in(client, token)
    soon = "UPDATE sessions SET expires_at = now() + interval '1 hour' WHERE uuid = $1"
    await rows(stores, soon, login.session)
    answer = await refresh(client, login.cookie)
    assert 3590 <= int(SimpleCookie(answer.headers["set-cookie"])["gad_refresh"]["max-age"]) <= 3600


async def test_a_logout_ends_one_session(client: httpx.AsyncClient, token: Token) -> None:
    login = await log_in(client, token)
    other = await again(client, login.email, login.user)
    assert await is_in(client, login)
    gone = await post(client, "logout", **login.headers)
    assert gone.status_code == 204
    assert 'gad_refresh=""' in gone.headers["set-cookie"]
    assert "Max-Age=0" in gone.headers["set-cookie"]
    assert_problem(await client.get(ME, headers=login.headers), 401, "session_ended")
    assert_problem(await refresh(client, login.cookie), 401, "session_ended")
    assert await is_in(client, other)


async def test_logout_all_ends_every_session(client: httpx.AsyncClient, token: Token, stores: Stores) -> None:
    login = await log_in(client, token)
    other = await again(client, login.email, login.user)
    somebody = await log_in(client, token)
    assert (await post(client, "logout-all", **login.headers)).status_code == 204
    assert [await is_in(client, each) for each in (login, other, somebody)] == [False, False, True]
    assert ("auth.logout_all", "low", True) in await events(stores, f"user/{login.user}")


async def test_another_password_ends_every_session(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    login = await log_in(client, token)
    other = await again(client, login.email, login.user)
    body = {"old_password": PASSWORD, "new_password": OTHER}
    assert (await post(client, "password", body, **login.headers)).status_code == 204
    assert [await is_in(client, each) for each in (login, other)] == [False, False]
    old = await post(client, "login", {"email": login.email, "password": PASSWORD})
    assert_problem(old, 401, "credentials_refused")
    assert await is_in(client, await again(client, login.email, login.user, OTHER))
    assert ("auth.password", "medium", True) in await events(stores, f"user/{login.user}")


async def test_the_old_password_must_be_right(client: httpx.AsyncClient, token: Token) -> None:
    login = await log_in(client, token)
    body = {"old_password": "canary-4711-wrong", "new_password": OTHER}
    assert_problem(await post(client, "password", body, **login.headers), 403, "password_refused")
    assert await is_in(client, login)


@pytest.mark.parametrize(
    ("new", "field", "kind"),
    [
        ("short-4711", "body.new_password", "too_short"),
        ("x" * 129, "body.new_password", "too_long"),
        ("Contraseña2026!", "body.new_password", "password_weak"),
        ("aaaabbbbcccc", "body.new_password", "password_weak"),
        ("guamán-de-la-sierra", "body.new_password", "password_personal"),
    ],
)
async def test_a_new_password_has_rules_and_is_never_repeated(
    client: httpx.AsyncClient, token: Token, new: str, field: str, kind: str
) -> None:
    login = await log_in(client, token)
    body = {"old_password": PASSWORD, "new_password": new}
    refused = await post(client, "password", body, **login.headers)
    problem = assert_problem(refused, 422, "invalid")
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [(field, kind)]
    assert new not in refused.text
    assert await is_in(client, await again(client, login.email, login.user))


async def test_a_password_given_again_is_noted_on_the_session(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    login = await log_in(client, token)
    state = "SELECT reauth_at, now() - reauth_at < interval '10 s' AS fresh FROM sessions WHERE uuid = $1"
    wrong = await post(client, "reauth", {"password": OTHER}, **login.headers)
    assert_problem(wrong, 403, "password_refused")
    [before] = await rows(stores, state, login.session)
    assert before["reauth_at"] is None
    assert (await post(client, "reauth", {"password": PASSWORD}, **login.headers)).status_code == 204
    [after] = await rows(stores, state, login.session)
    assert after["fresh"]
    assert await is_in(client, login)


async def test_address_and_device_are_sealed_under_the_persons_key(
    client: httpx.AsyncClient, token: Token, stores: Stores, process: Process
) -> None:
    body = person(password=PASSWORD)
    made = (await client.post("/api/v1/users", json=body, headers=token(3))).json()
    headers = {"User-Agent": "canary-agent/4711"}
    answer = await post(client, "login", {"email": body["email"], "password": PASSWORD}, **headers)
    assert answer.status_code == 200
    [row] = await rows(
        stores,
        "SELECT s.ip_enc, s.ua_enc, k.wrapped_dek FROM sessions s JOIN users u ON u.id = s.user_id"
        " JOIN subject_keys k ON k.user_id = u.id WHERE u.uuid = $1",
        UUID(made["uuid"]),
    )
    cipher = process.api.state.vault.subject(UUID(made["uuid"]), row["wrapped_dek"])
    assert cipher.open("ua", row["ua_enc"]) == "canary-agent/4711"
    assert cipher.open("ip", row["ip_enc"]) == "127.0.0.1"
    [event] = await rows(
        stores,
        "SELECT payload::text FROM audit_events WHERE type = 'auth.login' AND resource = $1",
        f"user/{made['uuid']}",
    )
    assert {"canary", "127.0.0.1", body["email"]} & set(event["payload"].split('"')) == set()
    assert '"ip"' in event["payload"]


async def test_nothing_secret_is_logged(
    client: httpx.AsyncClient, token: Token, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login = await log_in(client, token)
    answer = await refresh(client, login.cookie)
    await refresh(client, login.cookie)
    await post(client, "login", {"email": login.email, "password": "canary-4711-wrong"})
    await post(client, "login", {"email": login.email, "password": {"canary-4711": 1}})
    await post(client, "password", {"old_password": "canary-4711", "new_password": OTHER}, **login.headers)
    written = "\n".join(JsonFormatter("blue").format(record) for record in caplog.records)
    assert "/api/v1/auth/login" in written
    for secret in (
        PASSWORD,
        OTHER,
        "canary-4711",
        login.email,
        login.cookie,
        cookie_of(answer),
        login.headers["Authorization"].split()[1],
        answer.json()["access_token"],
    ):
        assert secret not in written


async def test_sessions_of_restricted_people_are_not_opened(
    client: httpx.AsyncClient, token: Token, stores: Stores
) -> None:
    login = await log_in(client, token)
    await asyncio.to_thread(stores.stamp, "users", "restricted_at", login.user)
    refused = await post(client, "login", {"email": login.email, "password": PASSWORD})
    assert_problem(refused, 401, "credentials_refused")
