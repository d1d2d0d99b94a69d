"""An open loop of HTTP requests: each starts when it is due, whether or not earlier ones were answered.

A waiting person does not wait less because others wait too: latency counts from the moment a request was
due. A closed loop would ask less of a slow server and call it quick.

Written on asyncio's streams, as the server needs the same two cores, of which a client library would take far
more. What the generator itself costs is not assumed: each run measures it (`cpu_s`).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

CONNECTIONS = 32  # chosen: at 300/s and 50 ms each 15 are busy; twice that
ANSWER_S = 10.0  # longer than the API's own waits (2 s for a connection, 5 s for a statement) together
PIECES = 10  # in which a slow sender's body comes
FAILURES = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError)


@dataclass(frozen=True)
class Request:
    """What is sent; `kind` groups the measurements, and `mark` comes back with the answer.

    `trickle_s`: so long the body is under way, as over a bad line. `is_alone`: on a connection of its own.
    """

    kind: str
    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    mark: str = ""
    trickle_s: float = 0.0
    is_alone: bool = False

    def encoded(self, host: str) -> bytes:
        """As it goes over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"] if self.body else []
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


@dataclass(frozen=True)
class Answered:
    """One request's end. `status` 0: no answer, `failure` says why. Seconds since it was due.

    A body that trickled is due when its last byte is. `due` is a time of the loop's clock, `slot` whoever
    answered (X-Gad-Slot).
    """

    kind: str
    status: int
    seconds: float
    body: bytes = b""
    failure: str = ""
    due: float = 0.0
    slot: str = ""
    mark: str = ""


class _Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Target:
    """Where requests go; `tls` None for clear text."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    @classmethod
    def parse(cls, url: str, tls: ssl.SSLContext | None) -> Target:
        """From a base URL; loopback alone, as nobody else asked for the load. Raises ValueError."""
        parts = urlsplit(url)
        if parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError(f"{url} is not this machine")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(parts.hostname, port, tls if parts.scheme == "https" else None)


class _Line:
    """One connection that stays open; a broken one is opened again by the next request."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._host = f"{target.host}:{target.port}"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def exchange(self, request: Request) -> _Reply:
        """The answer. Raises what FAILURES names."""
        async with asyncio.timeout(ANSWER_S + request.trickle_s):
            reader, writer = await self._connected()
            await self._send(writer, request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
            status = int(head[0].split(" ", 2)[1])
            if "transfer-encoding" in headers:
                raise ValueError("an answer without a length")  # none of the API's; nothing else is measured
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.close()
        return _Reply(status, headers, body)

    def close(self) -> None:
        """Forget the connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # One that the server closed while it was idle fails no request: any client sees that before it sends.
        if self._reader is not None and (self._reader.at_eof() or self._reader.exception() is not None):
            self.close()
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                self._target.host, self._target.port, ssl=self._target.tls
            )
        return self._reader, self._writer

    async def _send(self, writer: asyncio.StreamWriter, request: Request) -> None:
        content = request.encoded(self._host)
        if not request.trickle_s:
            writer.write(content)
            return
        begins = len(content) - len(request.body)
        writer.write(content[:begins])
        size = -(-len(request.body) // PIECES)
        for at in range(begins, len(content), size):
            await asyncio.sleep(request.trickle_s / PIECES)
            # asyncio's own loop would only warn of another write; uvloop raises what no caller expects.
            if writer.is_closing():
                raise ConnectionResetError("closed while the body was under way")
            writer.write(content[at : at + size])


async def run(
    target: Target,
    requests: Iterator[Request],
    *,
    per_second: float,
    seconds: float,
    connections: int = CONNECTIONS,
    seen: Callable[[Answered], None] | None = None,
) -> list[Answered]:
    """Send `per_second` for `seconds`, and wait for the last answer. Never raises for a failed request."""
    answers: list[Answered] = []

    def take(done: Answered) -> None:
        answers.append(done)
        if seen is not None:
            seen(done)

    numbers = range(int(per_second * seconds))
    await drive(target, requests, numbers, per_second=per_second, connections=connections, seen=take)
    return answers


async def drive(
    target: Target,
    requests: Iterator[Request],
    numbers: Iterable[int],
    *,
    per_second: float,
    connections: int,
    seen: Callable[[Answered], None],
) -> None:
    """Send a request for each of `numbers` (0, 1, 2, …), give `seen` each answer.

    Ends with the last answer. Never raises for a failed request.
    """
    lines: asyncio.LifoQueue[_Line] = asyncio.LifoQueue()  # the last used first: few connections when quiet
    for _ in range(connections):
        lines.put_nowait(_Line(target))
    loop = asyncio.get_running_loop()

    async def send(request: Request, due: float) -> None:
        line = _Line(target) if request.is_alone else await lines.get()
        try:
            status, headers, body = await line.exchange(request)
            failure = ""
        except FAILURES as error:
            line.close()
            status, headers, body, failure = 0, {}, b"", f"{type(error).__name__}: {error}"
        finally:
            if request.is_alone:
                line.close()
            else:
                lines.put_nowait(line)
        waited = max(0.0, loop.time() - due - request.trickle_s)
        slot = headers.get("x-gad-slot", "")
        seen(Answered(request.kind, status, waited, body, failure, due, slot, request.mark))

    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in numbers:
            due = began + number / per_second
            if (rest := due - loop.time()) > 0:
                await asyncio.sleep(rest)
            group.create_task(send(next(requests), due))
    while not lines.empty():
        lines.get_nowait().close()


def failures(answers: Sequence[Answered]) -> list[Answered]:
    """Those that are no answer of a healthy server: nothing at all, or a status from 400."""
    return [answer for answer in answers if not 200 <= answer.status < 400]


def cpu_s() -> float:
    """Seconds of processor time this process has used, for what the generator itself costs."""
    return time.process_time()
