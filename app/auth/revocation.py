"""Tells every process of the stack who is out, through Redis; one that hears nothing reads it in the row."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Depends
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from starlette.requests import Request

from app.auth.sessions import Revoked, Sessions
from app.cache import CACHE_ERRORS, Cache

CHANNEL = "gad:revoked"
RETRY_S = 1.0  # chosen: the row decides meanwhile
ASK_S = 5.0  # chosen: a listener asks whether Redis is still there after this much silence
LOST_S = 15.0  # chosen: three questions without an answer

log = logging.getLogger("gad.revocation")


class Revocations:
    """Publishes what this process revokes over `cache`; listens to what all do on a connection of its own."""

    def __init__(self, url: str, cache: Cache, sessions: Sessions, *, timeout_ms: int, name: str) -> None:
        self._sessions = sessions
        self._cache = cache
        self._listener: Redis = Redis.from_url(
            url, socket_connect_timeout=timeout_ms / 1000, client_name=name
        )
        self.listens = asyncio.Event()
        """Set while Redis tells this process."""

    async def announce(self, *ended: Revoked) -> None:
        """Tell this process at once and the others if Redis answers; call it after the commit."""
        for revoked in ended:
            self._sessions.drop(revoked)
        with suppress(*CACHE_ERRORS):
            for revoked in ended:
                await self._cache.redis.publish(CHANNEL, encode(revoked))

    async def run(self) -> None:
        """Listen for ever; cancel to stop."""
        while True:
            try:
                async with self._listener.pubsub() as channel:
                    await channel.subscribe(CHANNEL)
                    self._sessions.forget()  # whatever was said while nobody listened
                    self.listens.set()
                    await self._listen(channel)
            except CACHE_ERRORS as error:
                if self.listens.is_set():  # once, not at each attempt
                    log.warning("revocations are not heard", extra={"fields": {"kind": type(error).__name__}})
            finally:
                self.listens.clear()
            await asyncio.sleep(RETRY_S)

    async def _listen(self, channel: PubSub) -> None:
        """Returns when Redis has not answered for `LOST_S`."""
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while loop.time() - heard < LOST_S:
            message = await channel.get_message(ignore_subscribe_messages=False, timeout=ASK_S)
            if message is None:
                await channel.ping()
                continue
            heard = loop.time()
            revoked = decode(message["data"]) if message["type"] == "message" else None
            if revoked is not None:
                self._sessions.drop(revoked)

    async def close(self) -> None:
        """Close the listening connection."""
        await self._listener.aclose()


def encode(revoked: Revoked) -> bytes:
    """`{"session": uuid}` or `{"user": uuid}`."""
    kind = "session" if revoked.session is not None else "user"
    return orjson.dumps({kind: str(revoked.session or revoked.user)})


def decode(data: Any) -> Revoked | None:
    """What was published; None for anything else that somebody put there."""
    try:
        [(kind, value)] = orjson.loads(data).items()
        return Revoked(**{kind: UUID(value)})
    except (ValueError, TypeError, AttributeError):
        log.warning("a message that is none")
        return None


async def _revocations(request: Request) -> Revocations:
    revocations: Revocations = request.app.state.revocations
    return revocations


Announcer = Annotated[Revocations, Depends(_revocations)]
