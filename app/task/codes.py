"""Automatic codes: TSK-20260301-0001, EMG-20260301-0001. A number may be lost, never given twice."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Date, bindparam
from sqlalchemy.dialects.postgresql import insert

from app.db import Database, Read
from app.task.models import code_counters

TASK, EMERGENCY = "TSK", "EMG"

# Nobody may choose a code of this form, so that an automatic one is never taken.
AUTOMATIC = re.compile(rf"({TASK}|{EMERGENCY})-[0-9]{{8}}-[0-9]{{4,}}")

_first = insert(code_counters).values(prefix=bindparam("prefix"), day=bindparam("day", type_=Date), last=1)
# One statement in autocommit: the row is locked for that long only, not for as long as a task is written.
_NEXT = Read(
    _first.on_conflict_do_update(
        index_elements=[code_counters.c.prefix, code_counters.c.day],
        set_={"last": code_counters.c.last + 1},
    ).returning(code_counters.c.last)
)


def is_emergency(code: str) -> bool:
    """Whether an emergency got this code: nobody can choose one of its form."""
    return code.startswith(f"{EMERGENCY}-") and AUTOMATIC.fullmatch(code) is not None


def automatic_code(prefix: str, at: datetime, number: int, zone: ZoneInfo) -> str:
    """The code of the day's `number`-th; the day is the one people at `zone` have at `at`."""
    return f"{prefix}-{at.astimezone(zone):%Y%m%d}-{number:04d}"


async def next_code(database: Database, prefix: str, *, at: datetime, zone: ZoneInfo) -> str:
    """A code that nobody else got or will get. Raises Unavailable.

    Call it before the transaction that needs it: the number is taken at once, whatever becomes of the task.
    """
    row = await database.row(_NEXT, prefix=prefix, day=at.astimezone(zone).date())
    assert row is not None  # noqa: S101 - an upsert always returns its row
    return automatic_code(prefix, at, row["last"], zone)
