"""`/ws` of one process: who comes in, who has to go, and why."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from bodies import ORIGIN, Callers, new_caller
from served import Served
from sockets import Peer, peer, publish, publish_many, ready, token_of
from stores import Stores, wait_for
from test_health import metric
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.main import Process
from app.user.models import Level

PACE = {"GAD_WS_PING_S": "1", "GAD_WS_SILENCE_S": "3", "GAD_WS_AUTH_S": "1", "GAD_WS_MAX_CLIENTS": "40"}


@pytest.fixture(scope="module")
async def both(
    stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Process, Served]]:
    async with ready(stores, tmp_path_factory.mktemp("ws"), "blue", **PACE) as (process, (api,)):
        yield process, api


@pytest.fixture
def api(both: tuple[Process, Served]) -> Served:
    return both[1]


@pytest.fixture
def process(both: tuple[Process, Served]) -> Process:
    return both[0]


@pytest.fixture
def caller(process: Process) -> Callers:
    return partial(new_caller, process)


async def test_a_bearer_subprotocol_is_welcomed(api: Served, caller: Callers) -> None:
    someone = await caller(1)
    async with peer(api, token_of(someone)) as client:
        welcome = await client.hear("welcome")
        assert welcome["id"] is None
        assert welcome["data"]["topics"] == ["system", f"user.{someone.user}"]
        assert (welcome["data"]["user"], welcome["data"]["level"]) == (someone.user, 1)


async def test_the_first_message_may_say_who_it_is(api: Served, caller: Callers) -> None:
    async with peer(api) as client:
        await client.say(type="auth", token=token_of(await caller(2)))
        assert (await client.hear("welcome"))["data"]["level"] == 2


async def test_who_says_nothing_is_closed_with_4401(api: Served) -> None:
    async with peer(api) as client:
        began = time.monotonic()
        assert await client.close_code() == 4401
        assert 0.8 < time.monotonic() - began < 2


@pytest.mark.parametrize(
    "message",
    [
        {"type": "auth", "token": "x"},
        {"type": "subscribe", "topics": ["system"]},
        {"type": "pong"},
    ],
    ids=["bad-token", "too-early", "pong"],
)
async def test_who_does_not_say_who_it_is_is_closed_with_4401(api: Served, message: dict[str, Any]) -> None:
    async with peer(api) as client:
        await client.say(**message)
        assert await client.close_code() == 4401


async def test_a_bad_bearer_is_closed_with_4401(api: Served, process: Process) -> None:
    stranger = process.api.state.tokens.issue(uuid4(), Level.ADMINISTRATOR, session=uuid4())
    for token in ("eyJ.bad.token", stranger):
        async with peer(api, token) as client:
            assert await client.close_code() == 4401


@pytest.mark.parametrize("query", ["token={}", "access_token={}", "x={}"])
async def test_a_token_in_the_query_is_closed_with_4401(api: Served, caller: Callers, query: str) -> None:
    """Acceptance 18: even a good one, as addresses are logged."""
    token = token_of(await caller(3))
    async with peer(api, token, path="/ws?" + query.format(token)) as client:
        assert await client.close_code() == 4401
    assert token not in api.log.read_text()


async def test_a_browser_from_elsewhere_is_refused(api: Served, caller: Callers) -> None:
    token = token_of(await caller(1))
    with pytest.raises(InvalidStatus) as refused:
        async with peer(api, token, headers={"Origin": "https://evil.example"}):
            pass
    assert refused.value.response.status_code == 403
    async with peer(api, token, headers={"Origin": ORIGIN}) as client:
        await client.hear("welcome")


async def test_another_path_or_host_is_refused(api: Served, caller: Callers) -> None:
    token = token_of(await caller(1))
    for path in ("/wsx", "/api/v1/tasks"):
        with pytest.raises(InvalidStatus) as refused:
            async with peer(api, token, path=path):
                pass
        assert refused.value.response.status_code == 403
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Host": "evil.example"}
    assert api.public.get("/ws", headers=upgrade).status_code == 403
    assert api.public.get("/ws").status_code == 404


async def test_nonsense_is_answered_and_too_much_of_it_ends(api: Served, caller: Callers) -> None:
    async with peer(api, token_of(await caller(1))) as client:
        await client.hear("welcome")
        for text in ("{", "[]", '{"type":"no"}', '{"type":"pong","x":1}', '{"type":"subscribe","topics":[]}'):
            await client.connection.send(text)
            assert (await client.hear("error"))["data"] == {"code": "invalid"}
        await client.connection.send(b'{"type":"pong"}')
        for _ in range(40):
            await client.connection.send("{}")
        assert await client.close_code() == 4429


async def test_a_message_too_large_is_closed_with_1009(api: Served, caller: Callers) -> None:
    async with peer(api, token_of(await caller(1))) as client:
        await client.hear("welcome")
        await client.connection.send("x" * (16 * 1024 + 1))
        assert await client.close_code() == 1009


async def test_a_silent_peer_is_closed_with_4408_and_one_that_answers_is_not(
    api: Served, caller: Callers
) -> None:
    """Acceptance 21, with 3 s for 60."""
    token = token_of(await caller(1))
    async with peer(api, token) as silent, peer(api, token) as answers:
        await silent.hear("welcome")
        began = time.monotonic()
        code, pings = await asyncio.gather(silent.close_code(), count_pings(answers, 5))
        assert code == 4408
        assert pings >= 3
        assert 5 <= time.monotonic() - began < 7
        await answers.say(type="subscribe", topics=["system"])
        await answers.hear("subscribed")


async def count_pings(client: Peer, seconds: float) -> int:
    count = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await client.hear("ping")
        count += 1
    return count


async def test_more_clients_than_it_serves_are_closed_with_1013(api: Served, caller: Callers) -> None:
    token = token_of(await caller(1))
    async with AsyncExitStack() as stack:
        for _ in range(40):
            client = await stack.enter_async_context(peer(api, token))
            await client.hear("welcome")
        async with peer(api, token) as late:
            assert await late.close_code() == 1013
        assert metric(api, "gad_ws_connections") == 40
    await asyncio.to_thread(
        wait_for, lambda: metric(api, "gad_ws_connections") == 0, "all are gone", within_s=5
    )
    async with peer(api, token) as client:
        await client.hear("welcome")


async def test_a_slow_client_is_dropped_with_4429(api: Served, process: Process, caller: Callers) -> None:
    """Acceptance 21: it reads nothing while far more than its buffers hold is sent."""
    slow, quick = await caller(2), await caller(2)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", api.public.base_url.port))
    raw.setblocking(False)
    before = metric(api, "gad_ws_closed_total", code="4429")
    async with peer(api, token_of(quick)) as fine:
        await fine.hear("welcome")
        async with peer(api, token_of(slow), sock=raw, max_queue=1) as client:
            await client.hear("welcome")
            await publish_many(process.database, f"user.{slow.user}", 600, fat="x" * 4000)
            await publish(process.database, f"user.{quick.user}", n=7)
            assert (await fine.hear("alert"))["data"]["n"] == 7
            assert await client.close_code() == 4429
            assert client.numbers() == [*range(len(client.events))]
            assert 10 < len(client.events) < 600 - 256
    assert metric(api, "gad_ws_closed_total", code="4429") == before + 1
    assert metric(api, "gad_ws_send_errors_total", reason="slow") >= 256


async def test_logging_out_closes_with_4401_at_once(api: Served, caller: Callers) -> None:
    someone = await caller(1)
    async with peer(api, token_of(someone)) as client, peer(api, token_of(await caller(1))) as other:
        await client.hear("welcome")
        await other.hear("welcome")
        began = time.monotonic()
        answer = api.public.post("/api/v1/auth/logout", headers=someone.headers)
        assert answer.status_code == 204, answer.text
        assert await client.close_code() == 4401
        assert time.monotonic() - began < 1
        await other.say(type="subscribe", topics=["system"])
        await other.hear("subscribed")


async def test_a_session_that_ended_unheard_closes_within_5_s(
    api: Served, stores: Stores, process: Process, caller: Callers
) -> None:
    someone = await caller(1)
    async with peer(api, token_of(someone)) as client:
        await client.hear("welcome")
        sid = process.api.state.tokens.verify(token_of(someone)).session
        await asyncio.to_thread(stores.stamp, "sessions", "revoked_at", str(sid))
        began = time.monotonic()
        pinging = asyncio.create_task(answer_pings(client))
        assert await pinging == 4401
        assert time.monotonic() - began < 5


async def answer_pings(client: Peer) -> int:
    try:
        while True:
            await client.hear("ping", within_s=10)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 1006


async def test_a_token_that_expires_is_told_and_renewed(
    api: Served, process: Process, caller: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = await caller(1)
    tokens = process.api.state.tokens
    principal = tokens.verify(token_of(someone))
    early = time.time() - 15 * 60 + 2
    monkeypatch.setattr(tokens, "_now", lambda: early)
    short = tokens.issue(principal.user, principal.level, session=principal.session)
    monkeypatch.undo()
    async with peer(api, short) as client:
        await client.hear("welcome")
        assert (await client.hear("auth_expired", within_s=6))["data"] == {"renew_s": 30}
        await client.say(type="auth", token=token_of(someone))
        await client.hear("welcome")
        await client.say(type="auth", token=token_of(await caller(1)))
        assert await client.close_code() == 4401  # somebody else's
