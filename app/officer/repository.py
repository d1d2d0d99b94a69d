"""Queries on officers. Deleted officers, and deleted or restricted people, are in no list."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Database, Read
from app.officer.models import Officer

_COLUMNS = """
    o.uuid, u.uuid AS user_id, o.internal_code, u.first_name, u.last_name, o.rank, o.unit, o.specialty,
    o.availability, ST_Y(o.last_position::geometry) AS lat, ST_X(o.last_position::geometry) AS lon,
    o.position_at, o.created_at, o.updated_at, o.version
"""
_LIVE = "o.deleted_at IS NULL AND u.deleted_at IS NULL"
_LISTED = f"{_LIVE} AND u.restricted_at IS NULL"
_FROM = "FROM officers o JOIN users u ON u.id = o.user_id"

_BY_UUID = Read(text(f"SELECT {_COLUMNS} {_FROM} WHERE o.uuid = CAST(:uuid AS uuid) AND {_LIVE}"))
_FIRST_PAGE = Read(
    text(f"SELECT {_COLUMNS} {_FROM} WHERE {_LISTED} ORDER BY o.id LIMIT CAST(:rows AS bigint)")
)
_NEXT_PAGE = Read(
    text(
        f"SELECT {_COLUMNS} {_FROM} WHERE {_LISTED}"  # noqa: S608 - our own constants
        " AND o.id > (SELECT id FROM officers WHERE uuid = CAST(:after AS uuid))"
        " ORDER BY o.id LIMIT CAST(:rows AS bigint)"
    )
)
COUNTS = "SELECT availability, count(*) AS n FROM officers WHERE deleted_at IS NULL GROUP BY availability"

# The index orders by distance on a sphere, up to 0.6 % off the spheroid's: a few more candidates than
# wanted are taken in its order and ranked anew. Their number is a literal, as with a parameter the planner
# would assume a tenth of the table and might sort it all.
SPARE = 16
_POINT = "CAST(ST_SetSRID(ST_MakePoint(CAST(:lon AS float8), CAST(:lat AS float8)), 4326) AS geography)"


def nearest_sql(candidates: int) -> str:
    """The statement behind `nearest`: KNN on the GiST index, then exact distances."""
    return f"""
        WITH near AS MATERIALIZED (
            SELECT {_COLUMNS}, o.id, o.last_position {_FROM}
            WHERE {_LISTED} AND o.last_position IS NOT NULL
            ORDER BY o.last_position <-> {_POINT} LIMIT {candidates}
        ), ranked AS (SELECT near.*, ST_Distance(last_position, {_POINT}) AS distance_m FROM near)
        SELECT * FROM ranked WHERE distance_m <= CAST(:max_m AS float8)
        ORDER BY distance_m, id LIMIT CAST(:rows AS bigint)
    """  # noqa: S608 - our own constants and an int


_NEAREST = {candidates: Read(text(nearest_sql(candidates))) for candidates in (32, 128)}


@dataclass(frozen=True)
class OfficerRepository:
    """Writes in one unit of work."""

    session: AsyncSession

    async def add(self, officer: Officer) -> None:
        """Insert. Raises IntegrityError on a taken code or person."""
        self.session.add(officer)
        await self.session.flush()


async def find(database: Database, uuid: UUID) -> asyncpg.Record | None:
    """One live officer."""
    return await database.row(_BY_UUID, uuid=uuid)


async def page(database: Database, *, after: UUID | None, rows: int) -> list[asyncpg.Record]:
    """Up to `rows` officers that joined after the one given."""
    if after is None:
        return await database.rows(_FIRST_PAGE, rows=rows)
    return await database.rows(_NEXT_PAGE, after=after, rows=rows)


async def nearest(
    database: Database, *, lat: float, lon: float, max_m: float, rows: int
) -> list[asyncpg.Record]:
    """Up to `rows` officers within `max_m` metres, nearest first, with `distance_m`."""
    read = next(read for candidates, read in _NEAREST.items() if candidates >= rows + SPARE)
    return await database.rows(read, lat=lat, lon=lon, max_m=max_m, rows=rows)
