"""Statistics as callers see them, through the content cache."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import asyncpg

from app.cached import ContentCache, Entry, Kind
from app.db import Database
from app.errors import Code, Problem
from app.guard import Caller
from app.stats import repository
from app.stats.invalidation import TEAM, of_user
from app.task.models import Priority, Status, TaskType

REFRESH_S = 900.0  # product contract, section 10: as long as stats:tasks is cached


async def user_stats(
    content: ContentCache, database: Database, user: UUID, days: int, caller: Caller
) -> bytes:
    """Somebody's summary as JSON. Raises Problem: forbidden for another's below level 2; not_found for
    nobody, and for whoever is not to be counted."""
    if caller.only_own and user != caller.principal.user:
        raise Problem(Code.FORBIDDEN)

    async def compute() -> Mapping[str, object]:
        row = await repository.of_user(database, user, days)
        if not row["persons"]:
            raise Problem(Code.NOT_FOUND)
        return {"user": user, **_summary(row, days)}

    return await content.get(Entry(kind=Kind.USER, part=f"{user}:{days}", tags=(of_user(user),)), compute)


async def team_stats(content: ContentCache, database: Database, days: int) -> bytes:
    """The team's summary as JSON."""

    async def compute() -> Mapping[str, object]:
        return _summary(await repository.of_team(database, days), days)

    return await content.get(Entry(kind=Kind.TEAM, part=str(days), tags=(TEAM,)), compute)


async def task_stats(content: ContentCache, database: Database) -> bytes:
    """The stored figures as JSON."""

    async def compute() -> Mapping[str, object]:
        rows = await repository.of_tasks(database)
        return {
            "refreshed_at": max((row["updated_at"] for row in rows), default=None),
            "items": [_metric(row) for row in rows],
        }

    return await content.get(Entry(kind=Kind.TASKS), compute)


async def refresh(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Compute the stored figures anew. Raises what the driver raises."""
    await connection.execute(repository.REFRESH)


def _summary(row: asyncpg.Record, days: int) -> dict[str, object]:
    return {
        "days": days,
        "total": row["total"],
        "by_status": {each.value: row[f"status_{each}"] for each in Status},
        "by_type": {each.value: row[f"type_{each}"] for each in TaskType},
        "mean_hours": row["mean_hours"],
        "on_time_share": row["on_time_share"],
        "percentiles": _percentiles(row),
    }


def _metric(row: asyncpg.Record) -> dict[str, object]:
    return {
        "type": row["type"],
        "priority": Priority.of(row["priority"]).value,
        "total": row["total"],
        "mean_hours": row["hours"],
        "success_rate": row["success_rate"],
        "percentiles": _percentiles(row),
    }


def _percentiles(row: asyncpg.Record) -> dict[str, float] | None:
    return None if row["p50"] is None else {name: row[name] for name in ("p25", "p50", "p75")}
