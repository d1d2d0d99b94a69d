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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECTIONS = 32  # chosen: at 300/s and 50 ms each 15 are busy; twice that
ANSWER_S = 10.0  # longer than the API's own waits (2 s for a connection, 5 s for a statement) together
FAILURES = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError)


@dataclass(frozen=True)
class Request:
    """What is sent; `kind` groups the measurements."""

    kind: str
    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def encoded(self, host: str) -> bytes:
        """As it goes over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"] if self.body else []
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


@dataclass(frozen=True)
class Answered:
    """One request's end. `status` 0: no answer, `failure` says why. Seconds since it was due."""

    kind: str
    status: int
    seconds: float
    body: bytes = b""
    failure: str = ""


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
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def exchange(self, content: bytes) -> tuple[int, bytes]:
        """Status and body. Raises what FAILURES names."""
        async with asyncio.timeout(ANSWER_S):
            if self._reader is None or self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(
                    self._target.host, self._target.port, ssl=self._target.tls
                )
            self._writer.write(content)
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
            status = int(head[0].split(" ", 2)[1])
            if "transfer-encoding" in headers:
                raise ValueError("an answer without a length")  # none of the API's; nothing else is measured
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            await self.close()
        return status, body

    async def close(self) -> None:
        """Forget the connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


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
    lines: asyncio.LifoQueue[_Line] = asyncio.LifoQueue()  # the last used first: few connections when quiet
    for _ in range(connections):
        lines.put_nowait(_Line(target))
    host = f"{target.host}:{target.port}"
    answers: list[Answered] = []
    loop = asyncio.get_running_loop()

    async def send(request: Request, due: float) -> None:
        line = await lines.get()
        try:
            status, body = await line.exchange(request.encoded(host))
            done = Answered(request.kind, status, loop.time() - due, body)
        except FAILURES as error:
            await line.close()
            done = Answered(request.kind, 0, loop.time() - due, failure=f"{type(error).__name__}: {error}")
        finally:
            lines.put_nowait(line)
        answers.append(done)
        if seen is not None:
            seen(done)

    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(int(per_second * seconds)):
            due = began + number / per_second
            if (rest := due - loop.time()) > 0:
                await asyncio.sleep(rest)
            group.create_task(send(next(requests), due))
    while not lines.empty():
        await lines.get_nowait().close()
    return answers


def failures(answers: Sequence[Answered]) -> list[Answered]:
    """Those that are no answer of a healthy server: nothing at all, or a status from 400."""
    return [answer for answer in answers if not 200 <= answer.status < 400]


def cpu_s() -> float:
    """Seconds of processor time this process has used, for what the generator itself costs."""
    return time.process_time()
