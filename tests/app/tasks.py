"""Tasks as tests make them, and what the database holds about them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
from bodies import Callers
from stores import Stores

TASKS = "/api/v1/tasks"
_days = itertools.count(1)


def task(**changes: object) -> dict[str, Any]:
    """For POST /tasks: a window of its own day, so that no two tasks of a run overlap unless they shall."""
    start = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=next(_days))
    return {
        "title": "Patrullaje de prueba",
        "type": "patrol",
        "planned_start": start.isoformat(),
        "planned_end": (start + timedelta(hours=4)).isoformat(),
        **changes,
    }


async def create(client: httpx.AsyncClient, headers: dict[str, str], **changes: object) -> dict[str, Any]:
    """A new task; the answer."""
    made = await client.post(TASKS, json=task(**changes), headers=headers)
    assert made.status_code == 201, made.text
    answer: dict[str, Any] = made.json()
    return answer


async def act(client: httpx.AsyncClient, headers: dict[str, str], uuid: str, action: str) -> httpx.Response:
    """One action on a task."""
    body = {"reason": "Se suspendió."} if action == "cancel" else None
    return await client.post(f"{TASKS}/{uuid}/{action}", json=body, headers=headers)


# How to bring a new task into each status.
PATHS: dict[str, tuple[str, ...]] = {
    "programmed": (),
    "in_progress": ("start",),
    "paused": ("start", "pause"),
    "finished": ("start", "finish"),
    "cancelled": ("cancel",),
}


async def create_in(
    client: httpx.AsyncClient, headers: dict[str, str], status: str, **changes: object
) -> dict[str, Any]:
    """A new task that has come to `status`; as it is then."""
    answer = await create(client, headers, **changes)
    for action in PATHS[status]:
        done = await act(client, headers, answer["uuid"], action)
        assert done.status_code == 200, done.text
        answer = done.json()
    assert answer["status"] == status
    return answer


async def officers(caller: Callers, number: int) -> list[str]:
    """uuids of new officers."""
    made = [await caller(1, is_officer=True) for _ in range(number)]
    return [str(each.officer) for each in made]


@dataclass(frozen=True)
class Tables:
    """What is stored, seen past the API."""

    dsn: str

    async def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """All of them."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return [dict(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    async def trail(self, uuid: str) -> tuple[list[str], list[str], list[str]]:
        """Of a task: history, audit events, events for sockets, each in order."""
        history = await self.rows(
            "SELECT h.event FROM task_history h JOIN tasks t ON t.id = h.task_id"
            " WHERE t.uuid = $1 ORDER BY h.id",
            uuid,
        )
        audit = await self.rows(
            "SELECT type FROM audit_events WHERE resource = $1 AND success ORDER BY id", f"task/{uuid}"
        )
        events = await self.rows(
            "SELECT envelope::json ->> 'type' AS type FROM event_outbox WHERE $1 = ANY (topics) ORDER BY id",
            f"task.{uuid}",
        )
        return (
            [row["event"] for row in history],
            [row["type"] for row in audit],
            [row["type"] for row in events],
        )

    async def availability(self, officer: str) -> str:
        """Of an officer."""
        (row,) = await self.rows("SELECT availability FROM officers WHERE uuid = $1", officer)
        return str(row["availability"])

    async def places(self, uuid: str) -> list[tuple[bool, bool]]:
        """(is open, is engaged) of each place in a task, oldest first."""
        rows = await self.rows(
            "SELECT a.released_at IS NULL AS open, a.engaged FROM task_assignments a"
            " JOIN tasks t ON t.id = a.task_id WHERE t.uuid = $1 ORDER BY a.id",
            uuid,
        )
        return [(row["open"], row["engaged"]) for row in rows]


def tables(stores: Stores) -> Tables:
    """The run's own database."""
    return Tables(stores.dsn())
