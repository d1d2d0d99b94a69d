"""Redis: quick or absent. A Redis that does not answer degrades the service, it never fails a request."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

POOL = 10  # chosen: twice the database's pool, commands are far shorter


class Cache:
    """One process's connections to Redis; every command ends within `timeout_ms`."""

    def __init__(self, url: str, *, timeout_ms: int, name: str) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=timeout_ms / 1000,
            socket_connect_timeout=timeout_ms / 1000,
            max_connections=POOL,
            client_name=name,
            retry=Retry(NoBackoff(), 1),  # one: a connection that Redis closed while idle
        )

    async def is_up(self) -> bool:
        """Whether Redis answers in time with our user and password."""
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()
