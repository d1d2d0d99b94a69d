"""What every HTTP request passes first: its id, the host it asks for, the size it may have, its measure.

Pure ASGI and outermost, so that nothing escapes it: an exception becomes a problem, and a line in the log.
"""

from __future__ import annotations

import logging
import re
import time
from os import urandom

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import metrics
from app.errors import Code, Problem, problem_response
from app.logs import bind_request_id

MAX_BODY = 1024 * 1024  # product contract, section 4
SLOW_S = 0.5  # product contract, section 11
SPELLINGS = 64  # chosen: a served host with and without a port; wildcards allow more than are worth keeping
_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_DEFAULT_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_PROBES = frozenset({"/health/live", "/health/ready"})
log = logging.getLogger("gad.request")


class Edge:
    """Wraps the whole application."""

    def __init__(
        self, app: ASGIApp, *, sockets: ASGIApp, slot: str | None, allowed_hosts: tuple[str, ...]
    ) -> None:
        self._app = app
        self._sockets = sockets
        self._slot = (slot or "none").encode()
        self._any_host = "*" in allowed_hosts
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._suffixes = tuple(host[1:].lower() for host in allowed_hosts if host.startswith("*."))
        self._served: set[bytes] = set()  # as they were spelt; what is refused is not remembered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket":
            bind_request_id(_id_of(scope))
            if scope["path"] == "/ws" and self._serves(scope):
                await self._sockets(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close"})  # before it opens: a plain 403
            return
        exchange = _Exchange(scope, receive, send, self._slot)
        try:
            if self._serves(scope):
                await self._app(scope, exchange.receive, exchange.send)
            else:
                await problem_response(Code.HOST_REFUSED)(scope, receive, exchange.send)
        except Exception:
            log.exception("unexpected failure")
            if exchange.status is None:
                await problem_response(Code.INTERNAL)(scope, receive, exchange.send)
        finally:
            exchange.account()

    def _serves(self, scope: Scope) -> bool:
        # Probes come by address or container name, and answer nothing about people.
        if self._any_host or scope["path"].startswith("/health/"):
            return True
        given = _header(scope, b"host")
        if given in self._served:
            return True
        host = given.decode("latin-1").lower()
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        serves = name in self._hosts or host in self._hosts or name.endswith(self._suffixes or ("\0",))
        if serves and len(self._served) < SPELLINGS:
            self._served.add(given)
        return serves


class _Exchange:
    """One request and its answer, counted on the way."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, slot: bytes) -> None:
        self._id = _id_of(scope)
        bind_request_id(self._id)
        self._scope, self._receive, self._send, self._slot = scope, receive, send, slot
        self._started = time.perf_counter()
        self._body = 0
        self.status: int | None = None

    async def receive(self) -> Message:
        """The body, up to `MAX_BODY`; asked for only after the caller was let in. Raises Problem."""
        if self._body == 0:
            length = _header(self._scope, b"content-length")
            if length.isdigit() and int(length) > MAX_BODY:
                raise Problem(Code.BODY_TOO_LARGE, headers={"Connection": "close"})
        message = await self._receive()
        if message["type"] == "http.request":
            self._body += len(message.get("body", b""))
            if self._body > MAX_BODY:
                raise Problem(Code.BODY_TOO_LARGE, headers={"Connection": "close"})
        return message

    async def send(self, message: Message) -> None:
        """The answer, with who gave it and under which id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = message.get("headers", ())
            names = {name for name, _ in given}
            headers = [*given, (b"x-request-id", self._id.encode()), (b"x-gad-slot", self._slot)]
            headers += [header for header in _DEFAULT_HEADERS if header[0] not in names]
            message = {**message, "headers": headers}
        await self._send(message)

    def account(self) -> None:
        """Count, measure, and write a line for writes, errors and slow answers."""
        took = time.perf_counter() - self._started
        method = self._scope["method"] if self._scope["method"] in metrics.METHODS else "OTHER"
        route = getattr(self._scope.get("route"), "path", metrics.UNMATCHED)
        status = self.status or 499  # the caller left before an answer
        metrics.count_exchange(method, route, status, took)
        if route in _PROBES and took <= SLOW_S:
            return  # the proxy asks four times a second; an idle slot answers 503 by design
        if method in _WRITES or status >= 400 or took > SLOW_S:
            level = logging.ERROR if status >= 500 and status != 503 else logging.INFO
            fields = {"method": method, "route": route, "status": status, "ms": round(1000 * took, 1)}
            log.log(level, "request", extra={"fields": fields})


def _id_of(scope: Scope) -> str:
    """The sender's own, if it is fit for a log."""
    given = _header(scope, b"x-request-id")
    return given.decode() if _ID.fullmatch(given) else urandom(16).hex()


def _header(scope: Scope, name: bytes) -> bytes:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""
