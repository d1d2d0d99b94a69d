"""Queries on officers. Deleted officers, and deleted or restricted people, are in no list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from app.area import POINT
from app.db import Database, Read
from app.officer.models import Officer

COLUMNS = """
    o.uuid, u.uuid AS user_id, o.internal_code, u.first_name, u.last_name, o.rank, o.unit, o.specialty,
    o.availability, ST_Y(o.last_position::geometry) AS lat, ST_X(o.last_position::geometry) AS lon,
    o.position_at, o.created_at, o.updated_at, o.version
"""
_LIVE = "o.deleted_at IS NULL AND u.deleted_at IS NULL"
LISTED = f"{_LIVE} AND u.restricted_at IS NULL"
FROM = "FROM officers o JOIN users u ON u.id = o.user_id"

_BY_UUID = Read(text(f"SELECT {COLUMNS} {FROM} WHERE o.uuid = CAST(:uuid AS uuid) AND {_LIVE}"))
_LOCK = text(
    f"SELECT {COLUMNS}, o.id, u.id AS user_key, u.restricted_at {FROM}"
    f" WHERE o.uuid = CAST(:uuid AS uuid) AND {_LIVE} FOR UPDATE OF o"
)
COUNTS = "SELECT availability, count(*) AS n FROM officers WHERE deleted_at IS NULL GROUP BY availability"

# The index orders by distance on a sphere, up to 0.6 % off the spheroid's: a few more candidates than
# wanted are taken in its order and ranked anew. Their number is a literal, as with a parameter the planner
# would assume a tenth of the table and might sort it all.
SPARE = 16


def nearest_sql(candidates: int, *, available_only: bool = False) -> str:
    """The statement behind `nearest`: KNN on a GiST index, then exact distances."""
    # A literal: only then is the index of available officers the one that is walked.
    available = "AND o.availability = 'available'" if available_only else ""
    return f"""
        WITH near AS MATERIALIZED (
            SELECT {COLUMNS}, o.id, o.last_position {FROM}
            WHERE {LISTED} AND o.last_position IS NOT NULL {available}
            ORDER BY o.last_position <-> {POINT} LIMIT {candidates}
        ), ranked AS (SELECT near.*, ST_Distance(last_position, {POINT}) AS distance_m FROM near)
        SELECT * FROM ranked WHERE distance_m <= CAST(:max_m AS float8)
        ORDER BY distance_m, id LIMIT CAST(:rows AS bigint)
    """  # noqa: S608 - our own constants and an int


_NEAREST = {
    (candidates, available_only): Read(text(nearest_sql(candidates, available_only=available_only)))
    for candidates in (32, 128)
    for available_only in (False, True)
}


@dataclass(frozen=True)
class OfficerRepository:
    """Writes in one unit of work."""

    session: AsyncSession

    async def add(self, officer: Officer) -> None:
        """Insert. Raises IntegrityError on a taken code or person."""
        self.session.add(officer)
        await self.session.flush()

    async def lock(self, uuid: UUID) -> RowMapping | None:
        """A live officer, locked: no assignment can be added, no position written until the commit.

        Beside `OfficerRead`'s columns: id, user_key (users.id), restricted_at.
        """
        return (await self.session.execute(_LOCK, {"uuid": uuid})).mappings().one_or_none()

    async def change(self, id_: int, changes: Mapping[str, Any]) -> RowMapping:
        """Write the columns and raise the version. Answers version and updated_at.

        Raises IntegrityError on a taken code.
        """
        changed = await self.session.execute(
            update(Officer)
            .where(Officer.id == id_)
            .values(**changes, version=Officer.version + 1)
            .returning(Officer.version, Officer.updated_at)
        )
        return changed.mappings().one()

    async def is_assigned(self, id_: int) -> bool:
        """Whether any of the officer's assignments is open."""
        return await self._any("released_at IS NULL", id_)

    async def is_engaged(self, id_: int) -> bool:
        """Whether the officer is at a task that is in progress or paused."""
        return await self._any("engaged AND released_at IS NULL", id_)

    async def place(self, id_: int, *, lat: float, lon: float, at: datetime) -> bool:
        """Replace the position, unless the stored one is as new; says whether it did.

        The version stays: it counts what people edit, and a position comes every few seconds.
        """
        placed = await self.session.scalar(
            text(
                f"UPDATE officers SET last_position = {POINT}, position_at = :at"  # noqa: S608 - a constant
                " WHERE id = :id AND (position_at IS NULL OR position_at < :at) RETURNING id"
            ),
            {"id": id_, "lat": lat, "lon": lon, "at": at},
        )
        return placed is not None

    async def forget_place(self, user_key: int) -> UUID | None:
        """Clear the position of this person's officer entry, locking it; the officer, if there is one."""
        forgotten: UUID | None = await self.session.scalar(
            text(
                "UPDATE officers SET last_position = NULL, position_at = NULL"
                " WHERE user_id = :user AND deleted_at IS NULL RETURNING uuid"
            ),
            {"user": user_key},
        )
        return forgotten

    async def _any(self, condition: str, id_: int) -> bool:
        found = await self.session.scalar(
            text(
                "SELECT EXISTS (SELECT FROM task_assignments"  # noqa: S608 - our own constants
                f" WHERE officer_id = :id AND {condition})"
            ),
            {"id": id_},
        )
        return bool(found)


async def find(database: Database, uuid: UUID) -> asyncpg.Record | None:
    """One live officer."""
    return await database.row(_BY_UUID, uuid=uuid)


async def nearest(
    database: Database, *, lat: float, lon: float, max_m: float, rows: int, available_only: bool = False
) -> list[asyncpg.Record]:
    """Up to `rows` officers within `max_m` metres, nearest first, with `distance_m`."""
    candidates = next(each for each in (32, 128) if each >= rows + SPARE)
    read = _NEAREST[candidates, available_only]
    return await database.rows(read, lat=lat, lon=lon, max_m=max_m, rows=rows)
