"""`/ws` from handshake to close."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from app import metrics
from app.audit.denials import Denials
from app.auth.sessions import Sessions
from app.auth.tokens import Principal, TokenRefused
from app.errors import Code, Problem
from app.limits import Limits, RateClass, address_of
from app.stream import id_of, position_of
from app.ws import messages
from app.ws.admission import Admission
from app.ws.client import Client
from app.ws.hub import Hub
from app.ws.messages import (
    FAILED,
    NO_AUTH,
    PROTOCOL,
    TOO_MUCH,
    TRY_LATER,
    Auth,
    Subscribe,
    Unsubscribe,
)
from app.ws.protocol import EXTENSION, SocketProtocol
from app.ws.replay import Replay
from app.ws.topics import automatic, judge, one_of

BEARER = "bearer."
_TOKEN_NAMES = frozenset({"token", "access_token", "auth", "authorization", "bearer", "jwt"})
# A client that comes back says first who it is and what it saw, then what it wants to hear: for so long its
# replay waits, so that all of it is in one order; and for so long a subscription begins where it left off.
HOLD_S = 1.0
RESUMES_S = 10.0

log = logging.getLogger("gad.ws")


class Endpoint:
    """Serves every socket of the process."""

    def __init__(
        self,
        *,
        hub: Hub,
        admission: Admission,
        replay: Replay,
        sessions: Sessions,
        limits: Limits,
        denials: Denials,
        origins: tuple[str, ...],
        max_clients: int,
        queue: int,
        auth_s: float,
    ) -> None:
        self._hub = hub
        self._admission = admission
        self._replay = replay
        self._sessions = sessions
        self._limits = limits
        self._denials = denials
        self._origins = frozenset(origins)
        self._max_clients = max_clients
        self._queue = queue
        self._auth_s = auth_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket."""
        await receive()  # websocket.connect
        if not self._may_come(scope):
            await send({"type": "websocket.close"})  # before it opens: a plain 403
            return
        offered = scope.get("subprotocols", [])
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL if PROTOCOL in offered else None})
        socket: SocketProtocol = scope["extensions"][EXTENSION]
        client = Client(socket, queue=self._queue)
        socket.on_writable = client.flush
        if _has_token(scope["query_string"]):
            metrics.auth_failures.labels("malformed").inc()
            client.close(NO_AUTH)  # it is in somebody's log by now
        elif len(self._hub.clients) >= self._max_clients:
            client.close(TRY_LATER)
        self._hub.enter(client)
        code = 1006
        try:
            token = next((each.removeprefix(BEARER) for each in offered if each.startswith(BEARER)), None)
            code = await self._serve(client, scope, receive, token)
        except Exception:
            log.exception("a socket failed")
            client.close(FAILED)
        finally:
            self._hub.leave(client, client.closed or code)

    def _may_come(self, scope: Scope) -> bool:
        # A browser says where the page came from; programs do not.
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        return origin is None or bool({origin.decode("latin-1"), "*"} & self._origins)

    async def _serve(self, client: Client, scope: Scope, receive: Receive, token: str | None) -> int:
        """The code it ended with."""
        if client.closed is None and token is not None:
            await self._identify(client, scope, Auth(type="auth", token=token))
        auth_until = time.monotonic() + self._auth_s
        while True:
            until = None
            if client.closed is None and client.principal is None:
                until = auth_until
            elif client.holds:
                until = client.resumes_until - RESUMES_S + HOLD_S
            try:
                async with asyncio.timeout(None if until is None else max(0.0, until - time.monotonic())):
                    event = await receive()
            except TimeoutError:
                if client.principal is None:
                    client.close(NO_AUTH)
                else:
                    await self._attach(client, client.principal, [], None)
                continue
            if event["type"] == "websocket.disconnect":
                return int(event.get("code") or 1005)
            if client.closed is None:
                await self._hear(client, scope, event.get("text") or event.get("bytes") or b"")

    async def _hear(self, client: Client, scope: Scope, text: str | bytes) -> None:
        if not client.may_speak():
            client.close(TOO_MUCH)
            return
        message = messages.read(text)
        if isinstance(message, Auth):
            await self._identify(client, scope, message)
        elif client.principal is None:
            client.close(NO_AUTH)
        elif isinstance(message, Subscribe):
            await self._subscribe(client, client.principal, message)
        elif isinstance(message, Unsubscribe):
            async with client.replaying:
                client.suspended.difference_update(message.topics)
                keeps = automatic(client.principal)
                self._hub.remove(client, [topic for topic in message.topics if topic not in keeps])
            client.tell("subscribed", topics=sorted(client.topics))
        elif message is None:
            client.tell("error", code="invalid")

    async def _identify(self, client: Client, scope: Scope, message: Auth) -> None:
        """Accept a token: the first one, or one that renews it. Closes the socket if it proves nothing."""
        known = client.principal
        try:
            principal = await self._sessions.verified(message.token)
            if known is None:
                await self._limits.spend(RateClass.WS, principal.user)
            elif known.user != principal.user:
                raise TokenRefused("claims")
        except TokenRefused as refused:
            metrics.auth_failures.labels(refused.reason).inc()
            await self._refuse(client, scope)
            return
        except Problem as problem:
            if problem.code is Code.RATE_LIMITED:
                client.close(TOO_MUCH)
            elif problem.code is Code.SESSION_ENDED:
                await self._refuse(client, scope)
            else:
                client.close(TRY_LATER)
            return
        client.principal = principal
        client.is_warned = False
        if known is not None and known.level != principal.level:
            await self._judge_again(client, principal)
        await self._welcome(client, principal, message.last_id, is_new=known is None)

    async def _refuse(self, client: Client, scope: Scope) -> None:
        client.close(NO_AUTH)
        with suppress(Problem):  # counted with the address's requests; the socket is closed anyway
            await self._limits.spend(RateClass.ANONYMOUS, address_of(scope))

    async def _welcome(
        self, client: Client, principal: Principal, last_id: str | None, *, is_new: bool
    ) -> None:
        if last_id is not None:
            client.resume = position_of(last_id)
            client.resumes_until = time.monotonic() + RESUMES_S
            client.holds = True
        elif is_new:
            self._hub.add(client, automatic(principal), self._hub.position)
        client.tell(
            "welcome",
            user=str(principal.user),
            level=int(principal.level),
            last_id=last_id or id_of(self._hub.position),
            topics=sorted({*client.topics, *automatic(principal)}),
        )
        if is_new and self._hub.is_degraded:
            client.tell("system.degraded", component="redis")

    async def _judge_again(self, client: Client, principal: Principal) -> None:
        """Another level: what it does not allow ends."""
        verdict = judge(principal, client.topics)
        if verdict.denied:
            self._hub.remove(client, verdict.denied)
            client.tell("denied", topics=list(verdict.denied))

    async def _subscribe(self, client: Client, principal: Principal, message: Subscribe) -> None:
        try:
            allowed, denied = await self._admission.judge(client, message.topics)
        except Problem:
            client.tell("error", code="unavailable")
            return
        if denied:
            client.tell("denied", topics=denied)
            for topic in denied:
                noun, thing = one_of(topic) or ("topic", topic)
                await self._denials.note(principal.user, f"WS {noun}", Code.FORBIDDEN.value, {noun: thing})
        if len({*client.topics, *allowed}) > messages.MAX_TOPICS:
            client.tell("error", code="too_many_topics")
            return
        client.tell("subscribed", topics=sorted({*client.topics, *allowed, *automatic(principal)}))
        await self._attach(client, principal, allowed, message.last_id)

    async def _attach(
        self, client: Client, principal: Principal, topics: list[str], last_id: str | None
    ) -> None:
        """Make topics live, after a replay if the client said what it saw last."""
        since = None
        if last_id is not None:
            since = position_of(last_id)
        elif time.monotonic() < client.resumes_until:
            since = client.resume
        async with client.replaying:
            if client.holds:
                client.holds = False
                topics = [*automatic(principal), *topics]
            if since is None:
                self._hub.add(client, topics, self._hub.position)
            else:
                await self._replay.follow(client, topics, since)


def _has_token(query: bytes) -> bool:
    """Whether a token came where addresses are logged."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return any(name.lower() in _TOKEN_NAMES or value.startswith("eyJ") for name, value in pairs)
