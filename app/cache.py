"""Redis: quick or absent. A Redis that does not answer degrades the service, it never fails a request."""

from __future__ import annotations

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

CACHE_ERRORS = (RedisError, OSError, TimeoutError)  # what a command raises when Redis is away or slow
POOL = 10  # chosen: twice the database's pool, commands are far shorter


class Cache:
    """One process's connections to Redis; every command ends within `timeout_ms`."""

    def __init__(self, url: str, *, timeout_ms: int, name: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            timeout=timeout_ms / 1000,  # for a free connection: a burst waits, it is no failure of Redis
            socket_timeout=timeout_ms / 1000,
            socket_connect_timeout=timeout_ms / 1000,
            max_connections=POOL,
            client_name=name,
            retry=Retry(NoBackoff(), 1),  # one: a connection that Redis closed while idle
        )
        self._redis: Redis = Redis.from_pool(pool)

    @property
    def redis(self) -> Redis:
        """The client itself; a command raises one of `CACHE_ERRORS`."""
        return self._redis

    async def is_up(self) -> bool:
        """Whether Redis answers in time with our user and password."""
        try:
            return bool(await self._redis.ping())
        except CACHE_ERRORS:
            return False

    def script(self, lua: str) -> AsyncScript:
        """A script to be called with `keys` and `args`; the call raises one of `CACHE_ERRORS`."""
        return self._redis.register_script(lua)

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()
