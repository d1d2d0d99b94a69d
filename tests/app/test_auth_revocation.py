"""What one replica ends, another refuses: at once with Redis, within five seconds without."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from bodies import HOST, Callers, Token, assert_problem, bearer, open_session
from conftest import settings_for
from served import environment, run, served
from stores import Stores, wait_for

from app.auth.revocation import CHANNEL
from app.auth.sessions import CACHED_S, Revoked
from app.main import Process, build
from app.settings import Settings
from tests.ports import free_port

ME = "/api/v1/users/me"
PASSWORD = "ocho caballos verdes"  # pragma: allowlist secret
SOON_S = 1.0  # a message through Redis takes milliseconds


def replica_settings(settings: Settings, **changes: object) -> dict[str, Any]:
    """What makes another process of the same stack."""
    return {**{name: getattr(settings, name) for name in type(settings).model_fields}, **changes}


@asynccontextmanager
async def running(made: Process, *, listens: bool) -> AsyncIterator[httpx.AsyncClient]:
    """A process with its listener; `listens`: waited for."""
    transport = httpx.ASGITransport(app=made.public, raise_app_exceptions=False)
    listener = asyncio.create_task(made.revocations.run())
    try:
        if listens:
            await asyncio.wait_for(made.revocations.listens.wait(), 10)
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
            yield client
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener
        await made.close()


async def refused_after(client: httpx.AsyncClient, headers: dict[str, str], *, within_s: float) -> float:
    """Seconds until the token opens nothing."""
    began = time.monotonic()
    while (answer := await client.get(ME, headers=headers)).status_code == 200:
        assert time.monotonic() - began < within_s
        await asyncio.sleep(0.02)
    assert_problem(answer, 401, "session_ended")
    return time.monotonic() - began


End = Callable[[httpx.AsyncClient, Token, dict[str, str], str], Awaitable[httpx.Response]]


async def log_out(
    client: httpx.AsyncClient, _token: Token, headers: dict[str, str], _user: str
) -> httpx.Response:
    return await client.post("/api/v1/auth/logout", headers=headers)


async def log_out_everywhere(
    client: httpx.AsyncClient, _token: Token, headers: dict[str, str], _user: str
) -> httpx.Response:
    return await client.post("/api/v1/auth/logout-all", headers=headers)


async def another_level(
    client: httpx.AsyncClient, token: Token, _headers: dict[str, str], user: str
) -> httpx.Response:
    change = {**token(3), "If-Match": "*"}
    return await client.patch(f"/api/v1/users/{user}", json={"level": 2}, headers=change)


async def another_password(
    client: httpx.AsyncClient, token: Token, _headers: dict[str, str], user: str
) -> httpx.Response:
    change = {**token(3), "If-Match": "*"}
    body = {"password": "nueve mulas grises"}  # pragma: allowlist secret
    return await client.patch(f"/api/v1/users/{user}", json=body, headers=change)


async def no_longer_verified(
    client: httpx.AsyncClient, token: Token, _headers: dict[str, str], user: str
) -> httpx.Response:
    change = {**token(3), "If-Match": "*"}
    return await client.patch(f"/api/v1/users/{user}", json={"verified": False}, headers=change)


async def deletion(
    client: httpx.AsyncClient, token: Token, _headers: dict[str, str], user: str
) -> httpx.Response:
    return await client.delete(f"/api/v1/users/{user}", headers={**token(3), "If-Match": "*"})


@pytest.mark.parametrize(
    "end",
    [log_out, log_out_everywhere, another_level, another_password, no_longer_verified, deletion],
    ids=lambda end: end.__name__,
)
async def test_another_replica_refuses_at_once(
    client: httpx.AsyncClient, token: Token, settings: Settings, caller: Callers, end: End
) -> None:
    person = await caller(1)
    replica = build(Settings(**replica_settings(settings, slot="green")))
    told: list[Revoked] = []
    replica.api.state.sessions.on_revoked(told.append)
    async with running(replica, listens=True) as other:
        for each in (client, other):
            assert (await each.get(ME, headers=person.headers)).status_code == 200
        ended = await end(client, token, person.headers, person.user)
        assert ended.status_code in {200, 204}, ended.text
        assert_problem(await client.get(ME, headers=person.headers), 401, "session_ended")
        await refused_after(other, person.headers, within_s=SOON_S)
    assert len(told) == 1


@asynccontextmanager
async def without_redis(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Another replica, whose Redis is nowhere."""
    nowhere = f"redis://gad:x@127.0.0.1:{free_port()}/0"  # pragma: allowlist secret
    replica = build(Settings(**replica_settings(settings, slot="green", redis_url=nowhere)))
    async with running(replica, listens=False) as deaf:
        yield deaf


async def test_without_redis_another_replica_refuses_within_five_seconds(
    client: httpx.AsyncClient, settings: Settings, caller: Callers
) -> None:
    person = await caller(1)
    async with without_redis(settings) as deaf:
        assert (await deaf.get(ME, headers=person.headers)).status_code == 200
        assert (await client.post("/api/v1/auth/logout", headers=person.headers)).status_code == 204
        took = await refused_after(deaf, person.headers, within_s=CACHED_S)
    assert took > SOON_S  # else Redis was there and nothing was shown


async def test_who_has_no_redis_still_ends_sessions(
    client: httpx.AsyncClient, settings: Settings, caller: Callers
) -> None:
    person = await caller(1)
    async with without_redis(settings) as deaf:
        assert (await client.get(ME, headers=person.headers)).status_code == 200
        assert (await deaf.post("/api/v1/auth/logout", headers=person.headers)).status_code == 204
        assert_problem(await deaf.get(ME, headers=person.headers), 401, "session_ended")
        await refused_after(client, person.headers, within_s=CACHED_S)


async def test_a_lost_connection_is_made_again_and_what_was_missed_is_read(
    process: Process, settings: Settings, caller: Callers
) -> None:
    person = await caller(1)
    replica = build(Settings(**replica_settings(settings, slot="green")))
    redis = replica.cache.redis
    async with running(replica, listens=True) as other:
        assert (await other.get(ME, headers=person.headers)).status_code == 200
        await redis.publish(CHANNEL, b"not one of ours")
        await asyncio.sleep(0.05)
        assert replica.revocations.listens.is_set()
        await replica.revocations._listener.connection_pool.disconnect(inuse_connections=True)
        for _ in range(200):
            if not replica.revocations.listens.is_set():
                break
            await asyncio.sleep(0.01)
        assert not replica.revocations.listens.is_set()
        await process.api.state.gate.log_out(
            await replica.api.state.sessions.verified(person.headers["Authorization"].split()[1])
        )
        await asyncio.wait_for(replica.revocations.listens.wait(), 5)
        assert_problem(await other.get(ME, headers=person.headers), 401, "session_ended")


async def test_a_database_that_is_away_is_503_for_who_is_not_known_yet(
    stores: Stores, process: Process, caller: Callers
) -> None:
    person = await caller(1)
    away = settings_for(
        stores,
        # pragma: allowlist nextline secret
        database_url=f"postgresql://gad_app:x@127.0.0.1:{free_port()}/gad",
        jwt_secret=process.api.state.settings.jwt_secret,
    )
    async with running(build(away), listens=True) as client:
        answer = await client.get(ME, headers=person.headers)
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "2"


async def test_a_token_of_another_level_than_the_persons_is_refused(
    client: httpx.AsyncClient, process: Process, caller: Callers
) -> None:
    person = await caller(1)
    session = await open_session(process, UUID(person.user))
    raised = bearer(process, 3, UUID(person.user), session)
    assert_problem(await client.get("/api/v1/users", headers=raised), 401, "session_ended")
    assert (await client.get(ME, headers=bearer(process, 1, UUID(person.user), session))).status_code == 200


def test_processes_of_one_stack_tell_each_other(stores: Stores, tmp_path: Path) -> None:
    """As they are run: two processes, each with its own listener."""
    email = f"jefa.{secrets.token_hex(4)}@distrito.example"
    env = environment(stores, tmp_path)
    names = ("--email", email, "--first-name", "Rosa", "--last-name", "Loor")
    made = run("admin", "create", *names, env=env, stdin=PASSWORD)
    assert made.returncode == 0, made.stderr
    ports = {"GAD_PORT": str(free_port()), "GAD_PRIVATE_PORT": str(free_port())}
    (tmp_path / "green").mkdir()
    with served(env, tmp_path) as blue, served({**env, **ports}, tmp_path / "green") as green:
        answer = blue.public.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert green.public.get(ME, headers=headers).status_code == 200
        assert blue.public.post("/api/v1/auth/logout", headers=headers).status_code == 204
        wait_for(
            lambda: green.public.get(ME, headers=headers).status_code == 401,
            "the other process refuses",
            within_s=SOON_S,
        )
        written = blue.log.read_text() + green.log.read_text()
    for secret in (PASSWORD, email, answer.json()["access_token"], answer.cookies["gad_refresh"]):
        assert secret not in written
