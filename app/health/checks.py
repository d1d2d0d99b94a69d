"""Readiness and deep health: asked on connections of their own, so that a full pool is not an outage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import asyncpg

from app import __version__, metrics
from app.cache import Cache
from app.db import Database
from app.migrations import ORDINAL
from app.rotation import Rotation

PROBE_S = 1.0  # under the proxy's own 2 s, so that it reads our reason instead of a timeout
DEEP_CACHED_S = 5.0  # product contract, section 11

# InternalClientError: the server said goodbye while a statement was on its way.
PROBE_ERRORS = (
    *(OSError, TimeoutError, asyncpg.PostgresError),
    *(asyncpg.InterfaceError, asyncpg.InternalClientError),
)

State = Literal["ready", "degraded", "unready"]
Check = dict[str, object]


@dataclass(frozen=True)
class Report:
    """What a probe answers; each check carries `ok`."""

    state: State
    checks: dict[str, Check]


class DatabaseProbe:
    """One connection that is opened again whenever it was lost; never two questions at once."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._lock = asyncio.Lock()

    async def ask(self, sql: str) -> list[asyncpg.Record]:
        """The rows. Raises one of PROBE_ERRORS; the connection is then dropped."""
        async with self._lock:
            try:
                async with asyncio.timeout(PROBE_S):
                    if self._connection is None or self._connection.is_closed():
                        self._connection = await asyncpg.connect(
                            self._url, timeout=PROBE_S, server_settings={"application_name": self._name}
                        )
                    return await self._connection.fetch(sql)
            except BaseException:
                self._drop()
                raise

    def _drop(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            self._connection.terminate()
        self._connection = None

    async def close(self) -> None:
        """Close the connection."""
        async with self._lock:
            self._drop()


class Health:
    """Answers the probes of one process."""

    def __init__(
        self,
        *,
        probe: DatabaseProbe,
        database: Database,
        cache: Cache,
        rotation: Rotation,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._database = database
        self._cache = cache
        self._rotation = rotation
        self._clock = clock
        self._running: asyncio.Task[dict[str, Check]] | None = None
        self._deep: tuple[float, dict[str, object]] | None = None
        self.stopping = False
        """Set at SIGTERM, before any connection is refused."""

    async def ready(self) -> Report:
        """Whether traffic may come. Probes that arrive together share one round of questions."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._ask_stores())
        stores = await asyncio.shield(self._running)
        in_rotation = self._rotation.is_in()
        checks: dict[str, Check] = {
            "database": stores["database"],
            "schema": stores["schema"],
            "rotation": {"ok": in_rotation, "live": self._rotation.live},
            "stopping": {"ok": not self.stopping},
            "redis": stores["redis"],
        }
        needed = ("database", "schema", "rotation", "stopping")
        if not all(checks[name]["ok"] for name in needed):
            return Report("unready", checks)
        return Report("ready" if checks["redis"]["ok"] else "degraded", checks)

    async def deep(self) -> dict[str, object]:
        """Everything a person wants to know when something is odd; at most `DEEP_CACHED_S` old."""
        if self._deep is None or self._clock() - self._deep[0] >= DEEP_CACHED_S:
            self._deep = (self._clock(), await self._look_deep())
        return self._deep[1]

    async def _ask_stores(self) -> dict[str, Check]:
        database, redis = await asyncio.gather(self._ask_schema(), self._timed_redis())
        return {**database, "redis": redis}

    async def _timed_redis(self) -> Check:
        asked = self._clock()
        up = await self._cache.is_up()
        return {"ok": up, "ms": round(1000 * (self._clock() - asked), 1)}

    async def _ask_schema(self) -> dict[str, Check]:
        asked = self._clock()
        try:
            rows = await self._probe.ask("SELECT ordinal, min_ordinal FROM schema_info")
        except asyncpg.UndefinedTableError:
            rows = []  # up, but nothing was ever migrated
        except PROBE_ERRORS as error:
            reason = type(error).__name__
            return {"database": {"ok": False, "reason": reason}, "schema": {"ok": False, "code": ORDINAL}}
        known: Check = {"ok": True, "ms": round(1000 * (self._clock() - asked), 1)}
        if not rows:
            return {"database": known, "schema": {"ok": False, "code": ORDINAL, "ordinal": None}}
        ordinal, least = int(rows[0]["ordinal"]), int(rows[0]["min_ordinal"])
        fits = least <= ORDINAL <= ordinal
        return {
            "database": known,
            "schema": {"ok": fits, "code": ORDINAL, "ordinal": ordinal, "min_ordinal": least},
        }

    async def _look_deep(self) -> dict[str, object]:
        report = await self.ready()
        in_use, idle = self._database.connections()
        found: dict[str, object] = {
            "state": report.state,
            "version": __version__,
            "checks": report.checks,
            "pool": {"in_use": in_use, "idle": idle},
            "event_loop_lag_s": round(metrics.current_lag(), 4),
        }
        if report.checks["database"]["ok"]:
            rows = await self._probe.ask(
                "SELECT current_setting('server_version') AS postgresql,"
                " (SELECT extversion FROM pg_extension WHERE extname = 'postgis') AS postgis,"
                " pg_is_in_recovery() AS recovering"
            )
            found["versions"] = dict(rows[0])
        return found

    async def close(self) -> None:
        """Close the probe's connection."""
        await self._probe.close()
