"""Clients of `/ws`, and processes that share their stores and keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from bodies import Caller
from conftest import settings_for
from served import SECRETS, Served, environment, served
from sqlalchemy import text
from stores import Stores
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.db import Database, Read
from app.events import Event, emit
from app.main import Process, build
from app.outbox import COUNT_PENDING
from tests.ports import free_port

PENDING = Read(text(COUNT_PENDING))
LIMITLESS = {"GAD_RATE_WS": "1000000", "GAD_RATE_ANONYMOUS": "1000000"}


@contextmanager
def replicas(
    stores: Stores, scratch: Path, *slots: str, **changes: str
) -> Iterator[tuple[Process, list[Served]]]:
    """A process of each slot, and one in the test's own loop that makes people and events for them."""
    first = environment(stores, scratch, **{**LIMITLESS, **changes})
    running: list[Any] = []
    served_now: list[Served] = []
    try:
        for slot in slots:
            here = scratch / slot
            here.mkdir(exist_ok=True)
            env = {**first, "GAD_SLOT": slot}
            env |= {"GAD_PORT": str(free_port()), "GAD_PRIVATE_PORT": str(free_port())}
            context = served(env, here)
            served_now.append(context.__enter__())
            running.append(context)
        keys = {name: Path(first[f"GAD_{name.upper()}_FILE"]).read_text() for name in SECRETS}
        yield build(settings_for(stores, slot=None, **keys)), served_now
    finally:
        for context in reversed(running):
            context.__exit__(None, None, None)


@asynccontextmanager
async def ready(
    stores: Stores, scratch: Path, *slots: str, **changes: str
) -> AsyncIterator[tuple[Process, list[Served]]]:
    """`replicas`, each of them ready."""
    with replicas(stores, scratch, *slots, **changes) as (process, apis):
        for api in apis:
            api.wait_ready(200)
        yield process, apis
        await process.close()


def token_of(caller: Caller) -> str:
    return caller.headers["Authorization"].removeprefix("Bearer ")


class Peer:
    """One open socket and whatever came over it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []

    async def say(self, **message: object) -> None:
        await self.connection.send(json.dumps(message))

    async def hear(self, kind: str, *, within_s: float = 5) -> dict[str, Any]:
        """The next message of a kind; events that come before are kept, pings answered."""
        async with asyncio.timeout(within_s):
            while True:
                message: dict[str, Any] = json.loads(await self.connection.recv())
                assert list(message) == sorted(message, key=("id", "topic", "type", "data", "ts").index) or (
                    list(message) == ["id", "type", "topic", "data", "ts"]
                )
                if message["type"] == "ping":
                    await self.say(type="pong")
                if message["id"] is not None:
                    self.events.append(message)
                if message["type"] == kind:
                    return message

    async def hear_all(self, seconds: float) -> list[dict[str, Any]]:
        """What comes within a time, events or not."""
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found.append(json.loads(await self.connection.recv()))
        except (TimeoutError, ConnectionClosed):
            return found

    async def close_code(self, *, within_s: float = 10) -> int:
        """What it is closed with; events before are kept."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    message = json.loads(await self.connection.recv())
                    if message["id"] is not None:
                        self.events.append(message)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006

    def numbers(self) -> list[int]:
        """Of the test's own events; services tell of other things too."""
        return [event["data"]["n"] for event in self.events if "n" in event["data"]]


@asynccontextmanager
async def peer(
    api: Served,
    token: str | None = None,
    *,
    path: str = "/ws",
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[Peer]:
    """Connected; with a token as the subprotocol, and not yet welcomed."""
    url = f"ws://127.0.0.1:{api.public.base_url.port}{path}"
    offered = [Subprotocol("gad.v1"), *([Subprotocol(f"bearer.{token}")] if token else [])]
    async with connect(
        url,
        subprotocols=offered,
        compression=None,
        additional_headers=headers,
        ping_interval=None,
        close_timeout=2,
        **options,
    ) as connection:
        assert connection.subprotocol == "gad.v1"
        yield Peer(connection)


@asynccontextmanager
async def heard(api: Served, caller: Caller, *topics: str) -> AsyncIterator[Peer]:
    async with peer(api, token_of(caller)) as client:
        await client.hear("welcome")
        await client.say(type="subscribe", topics=list(topics))
        await client.hear("subscribed")
        yield client


async def publish(database: Database, *topics: str, kind: str = "alert", **data: object) -> None:
    """Commit an event, as a service does."""
    async with database.transaction() as session:
        emit(session, Event(type=kind, topics=topics, data=data))


async def all_published(database: Database) -> None:
    """Return when no committed event waits for the stream any more."""
    while True:
        found = await database.row(PENDING)
        if found is not None and not found["pending"]:
            return
        await asyncio.sleep(0.01)


async def publish_many(database: Database, topic: str, count: int, **data: object) -> None:
    """Commit events numbered from 0 in one transaction."""
    async with database.transaction() as session:
        emit(session, *(Event(type="alert", topics=(topic,), data={"n": n, **data}) for n in range(count)))
