"""An API small enough to break in every way on purpose: what the prober asks, and nothing more."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from app.ws.messages import frame

PAGE = 7  # so small that a list has several pages
ANSWER = "HTTP/1.1 {} X\r\nContent-Length: {}\r\nX-Gad-Slot: {}\r\n\r\n"
Fault = Callable[[str, int], str]


def healthy(_doing: str, _number: int) -> str:
    return ""


@dataclass
class Api:
    """`fault` is asked at each request ("GET /path", how many of it before) and event ("event", its number).

    It says "" or: a status; drop, before anything is done; cut, after it is done; lose, what is answered 201;
    double, a task or an event; leave, which closes the sockets as a slot that leaves does.
    """

    fault: Fault = healthy
    slot: str = "blue"
    tasks: list[dict[str, object]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)  # how long each request's body took to come
    events: list[bytes] = field(default_factory=list)
    opened: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    hearing: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.open.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._exchange(reader, writer):
                pass
        self.open.discard(writer)
        self.hearing.discard(writer)
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
        began = time.monotonic()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.waits_s.append(time.monotonic() - began)
        if target == "/ws":
            await self._hear(reader, writer)
            return False
        wrong = self._wrong(f"{method} {urlsplit(target).path}")
        if wrong == "drop":
            return False
        status, answer = (int(wrong), {}) if wrong.isdigit() else self._answer(method, target, body, wrong)
        if wrong == "cut":
            return False
        content = json.dumps(answer).encode() if status != 204 else b""
        writer.write(ANSWER.format(status, len(content), self.slot).encode() + content)
        await writer.drain()
        return True

    def _wrong(self, doing: str) -> str:
        number = self.seen.get(doing, 0)
        self.seen[doing] = number + 1
        return self.fault(doing, number)

    def _answer(self, method: str, target: str, body: bytes, wrong: str) -> tuple[int, object]:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        match (method, path):
            case ("POST", "/api/v1/auth/login"):
                return 200, {"access_token": "t"}
            case ("GET", "/api/v1/users/me"):
                return 200, self._person()
            case ("POST", "/api/v1/notifications"):
                self._tell(json.loads(body)["text"])
                return 202, {"recipients": 1}
            case ("POST", "/api/v1/tasks"):
                self.bodies.append(body)
                return 201, self._make(json.loads(body)["title"], {"lose": 0, "double": 2}.get(wrong, 1))
            case ("DELETE", _):
                self.tasks = [task for task in self.tasks if task["uuid"] != path.rsplit("/", 1)[1]]
                return 204, None
            case _ if "q" in query:
                return 200, self._page(query["q"][0], int(query.get("cursor", ["0"])[0]))
            case _:
                return 200, {}

    def _person(self) -> dict[str, object]:
        names = dict.fromkeys(("uuid", "email", "first_name", "last_name"), "u")
        return {**names, "level": 3, "version": 1}

    def _make(self, title: str, times: int) -> dict[str, object]:
        task: dict[str, object] = dict.fromkeys(("code", "type", "status", "priority", "delegate"), "x")
        task |= {"title": title, "planned_start": "2026-01-01T00:00:00Z", "planned_end": None}
        task |= {"officers": [], "version": 1}
        made = [{**task, "uuid": f"{self.seen['POST /api/v1/tasks']}-{n}"} for n in range(max(1, times))]
        self.tasks += made[:times]
        return made[0]

    def _page(self, words: str, start: int) -> dict[str, object]:
        found = [task for task in self.tasks if words in str(task["title"])]
        after = start + PAGE
        return {"items": found[start:after], "next_cursor": str(after) if after < len(found) else None}

    def _tell(self, text: str) -> None:
        wrong = self._wrong("event")
        made = json.dumps({"id": f"{len(self.events) + 1}-0", "type": "notification", "data": {"text": text}})
        event = frame(made.replace('": "', '":"', 1).encode())
        self.events.append(event)
        for writer in [*self.hearing]:
            if wrong == "leave":
                leaving = {"id": None, "type": "reconnect", "data": {"after_ms": 100}}
                writer.write(frame(json.dumps(leaving).encode()) + b"\x88\x02\x03\xf4")
                writer.close()
                self.hearing.discard(writer)
            else:
                writer.write(event * {"lose": 0, "double": 2}.get(wrong, 1))

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching\r\n\r\n")
        since = 0
        while True:
            size = (await reader.readexactly(2))[1] & 0x7F
            size = int.from_bytes(await reader.readexactly(2)) if size == 126 else size
            said = json.loads((await reader.readexactly(4 + size))[4:])  # the mask is none
            match said["type"]:
                case "auth":
                    self._wrong("auth")
                    since = int(said.get("last_id", f"{len(self.events)}-0").split("-")[0])
                    self._say(writer, "welcome", {"last_id": f"{since}-0"})
                case "subscribe":
                    self._say(writer, "subscribed", {"topics": said["topics"]})
                    writer.write(b"".join(self.events[since:]))
                    self.hearing.add(writer)

    def _say(self, writer: asyncio.StreamWriter, kind: str, data: dict[str, object]) -> None:
        writer.write(frame(json.dumps({"id": None, "type": kind, "data": data}).encode()))


@asynccontextmanager
async def listening(api: Api) -> AsyncIterator[str]:
    """The base URL at which it answers."""
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await stop(server, api)


async def stop(server: asyncio.Server, api: Api) -> None:
    """As a process that is killed: it hears and says nothing any more."""
    server.close()
    for writer in [*api.open]:
        writer.transport.abort()
    await asyncio.sleep(0.01)


@contextmanager
def listening_beside(api: Api) -> Iterator[str]:
    """The same in a thread of its own, for commands that wait."""
    with asyncio.Runner() as runner:
        loop, context = runner.get_loop(), listening(api)
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
