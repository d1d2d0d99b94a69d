"""Which officers an emergency gets: the nearest of those who can come, each locked for it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.area import POINT, SPHERE_SLACK

FRESH = timedelta(minutes=30)  # how old a position may be: product contract, section 7
OFFICERS_MAX = 5  # product contract, section 7

# The index finds candidates on a sphere, which differs from the spheroid by up to 0.6 %; so do their order
# and the bound. The few leave room for that; the many also for those whom others hold at this moment (two
# processes of five connections with five officers each). Literals: see app.officer.repository.
FEW, MANY = 32, 128

# The first line is the predicate of a partial index. What follows the position asks other tables for each
# candidate in turn: as values, not as EXISTS, which the planner would join with whole tables, for it is far
# off about the people in a circle where a city crowds. An officer without any shift is always on duty.
_ELIGIBLE = f"""
    o.deleted_at IS NULL AND o.availability = 'available'
    AND ST_DWithin(o.last_position, {POINT}, {SPHERE_SLACK} * CAST(:max_m AS float8), false)
    AND o.position_at >= CAST(:fresh AS timestamptz)
    AND (SELECT u.deleted_at IS NULL AND u.restricted_at IS NULL FROM users u WHERE u.id = o.user_id)
    AND (
        SELECT count(*) = 0 FROM task_assignments a WHERE a.officer_id = o.id AND a.released_at IS NULL
        AND (a.engaged OR a.period && tstzrange(CAST(:starts AS timestamptz), CAST(:ends AS timestamptz)))
    )
    AND (
        SELECT count(*) = 0 OR bool_or(s.period @> CAST(:starts AS timestamptz)) FROM officer_shifts s
        WHERE s.officer_id = o.id AND s.deleted_at IS NULL
    )
"""  # noqa: S608 - our own constants


def pick_sql(candidates: int) -> str:
    """The statement behind `pick`: KNN on the index of available officers, then exact distances and locks."""
    return f"""
        WITH near AS MATERIALIZED (
            SELECT o.id FROM officers o WHERE {_ELIGIBLE}
            ORDER BY o.last_position <-> {POINT} LIMIT {candidates}
        )
        SELECT o.id, o.uuid, o.version, o.internal_code, u.uuid AS user,
            u.first_name || ' ' || u.last_name AS name, ST_Distance(o.last_position, {POINT}) AS distance_m
        FROM near JOIN officers o ON o.id = near.id JOIN users u ON u.id = o.user_id
        WHERE o.deleted_at IS NULL AND o.availability = 'available'
            AND ST_Distance(o.last_position, {POINT}) <= CAST(:max_m AS float8)
        ORDER BY ST_Distance(o.last_position, {POINT}), o.id
        LIMIT CAST(:officers AS bigint) FOR UPDATE OF o SKIP LOCKED
    """  # noqa: S608 - our own constants and an int


_PICK = {candidates: text(pick_sql(candidates)) for candidates in (FEW, MANY)}
# Estimates cannot be trusted here, see above: the order comes from walking the index, never from a sort.
WALK = "SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)"
_WALK = text(WALK)
_ANY = text(
    f"SELECT EXISTS (SELECT FROM officers o WHERE {_ELIGIBLE}"  # noqa: S608 - our own constants
    f" AND ST_Distance(o.last_position, {POINT}) <= CAST(:max_m AS float8))"
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """Where officers are needed, how many, from how far (metres), and when (UTC)."""

    lat: float
    lon: float
    officers: int
    max_m: float
    starts: datetime
    ends: datetime

    def arguments(self) -> dict[str, object]:
        """For the statements."""
        return {**vars(self), "fresh": self.starts - FRESH}


async def pick(session: AsyncSession, call: Call) -> Sequence[RowMapping]:
    """The nearest who can come and whom nobody else holds, nearest first, locked until the commit.

    Rows are locked from the nearest on, and only as many as are wanted. Nobody waits for a lock: who is held
    is passed over. A row that changed since it was read is looked at again before it is taken: who became
    busy meanwhile is passed over too.
    """
    await session.execute(_WALK)
    for candidates in (FEW, MANY):
        found = (await session.execute(_PICK[candidates], call.arguments())).mappings().all()
        if len(found) == call.officers:
            break
    return found


async def is_anybody_near(session: AsyncSession, call: Call) -> bool:
    """Whether somebody could come, held by others or not."""
    arguments = {name: value for name, value in call.arguments().items() if name != "officers"}
    return bool(await session.scalar(_ANY, arguments))
