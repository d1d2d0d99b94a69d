"""When officers are on duty. Shifts of one officer do not overlap.

An officer who has any shift is sent to an emergency only while one covers that moment; one without, always.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from asyncpg import Range
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app import page, precondition
from app.db import Database, Read, violated
from app.errors import Code, Problem
from app.guard import Caller
from app.officer import record, repository
from app.officer.models import Shift
from app.officer.record import OfficerChange
from app.officer.repository import OfficerRepository
from app.officer.service import Row, lock_officer, require_own
from app.officer.shift_schemas import ShiftCreate

_COLUMNS = "s.uuid, lower(s.period) AS starts_at, upper(s.period) AS ends_at, s.created_at, s.version"
_PAGE = """
    SELECT {columns} FROM officer_shifts s JOIN officers o ON o.id = s.officer_id
    WHERE o.uuid = CAST(:officer AS uuid) AND s.deleted_at IS NULL {after}
    ORDER BY lower(s.period) DESC LIMIT CAST(:rows AS bigint)
"""
_FIRST_PAGE = Read(text(_PAGE.format(columns=_COLUMNS, after="")))
_NEXT_PAGE = Read(
    text(_PAGE.format(columns=_COLUMNS, after="AND lower(s.period) < CAST(:after AS timestamptz)"))
)


async def list_shifts(
    database: Database, officer: UUID, *, cursor: str | None, limit: int, caller: Caller
) -> dict[str, object]:
    """A page, the latest first. Raises Problem: not_found, forbidden; Invalid for a cursor never given."""
    after = page.decode(cursor, datetime.fromisoformat)[0] if cursor is not None else None
    row = await repository.find(database, officer)
    if row is None:
        raise Problem(Code.NOT_FOUND)
    require_own(row, caller)
    if after is None:
        rows = await database.rows(_FIRST_PAGE, officer=officer, rows=limit + 1)
    else:
        rows = await database.rows(_NEXT_PAGE, officer=officer, rows=limit + 1, after=after)
    # Shifts of one officer do not overlap: their starts are all different.
    return page.page(rows, limit, item=as_answer, key=lambda found: (found["starts_at"].isoformat(),))


async def add_shift(
    session: AsyncSession, officer: UUID, body: ShiftCreate, caller: Caller
) -> dict[str, object]:
    """Insert a shift; does not commit. Raises Problem: not_found, restricted, shift_overlap."""
    row = await lock_officer(OfficerRepository(session), officer, caller)
    shift = Shift(uuid=uuid4(), officer_id=row["id"], period=Range(body.starts_at, body.ends_at))
    session.add(shift)
    try:
        await session.flush()
    except IntegrityError as error:
        if violated(error) != "officer_shifts_overlap_excl":
            raise
        raise Problem(Code.SHIFT_OVERLAP) from None
    await _write(session, row, "shift.create", shift.uuid, caller)
    return {
        "uuid": shift.uuid,
        "starts_at": body.starts_at,
        "ends_at": body.ends_at,
        "created_at": shift.created_at,
        "version": shift.version,
    }


async def remove_shift(
    session: AsyncSession, officer: UUID, shift: UUID, *, seen: int | None, caller: Caller
) -> None:
    """Take a shift back; does not commit. Raises Problem: not_found, restricted, stale."""
    row = await lock_officer(OfficerRepository(session), officer, caller)
    found = await session.scalar(
        select(Shift)
        .where(Shift.uuid == shift, Shift.officer_id == row["id"], Shift.deleted_at.is_(None))
        .with_for_update()
    )
    if found is None:
        raise Problem(Code.NOT_FOUND)
    precondition.check(seen, found.version)
    found.deleted_at = await session.scalar(select(func.now()))
    found.version += 1
    await session.flush()
    await _write(session, row, "shift.delete", shift, caller)


async def _write(session: AsyncSession, officer: Row, verb: str, shift: UUID, caller: Caller) -> None:
    record.write(
        session,
        OfficerChange(
            verb=verb,
            officer=officer["uuid"],
            user=officer["user_id"],
            actor=caller.principal.user,
            version=officer["version"],
            fields=["shifts"],
            data={"shift": shift},
        ),
    )


def as_answer(row: Row) -> dict[str, object]:
    """A row as `ShiftRead` shows it."""
    return {name: row[name] for name in ("uuid", "starts_at", "ends_at", "created_at", "version")}
