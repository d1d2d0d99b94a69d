"""The list of people by any mix of filters, each mix compiled once. Restricted people are not in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.db import Database, Read
from app.page import depth
from app.words import parameters

_COLUMNS = (
    "u.uuid, u.email, u.first_name, u.last_name, u.level, u.verified, u.created_at, u.updated_at, u.version"
)
_CONDITIONS: Mapping[str, str] = {
    "after": "u.id > (SELECT id FROM users WHERE uuid = CAST(:after AS uuid))",
    "level": "u.level = CAST(:level AS smallint)",
    # The longest word finds its few candidates in the trigram indexes; then all must match.
    "q": """(u.first_name ILIKE CAST(:longest AS text) OR u.last_name ILIKE CAST(:longest AS text)
            OR u.email::text ILIKE CAST(:longest AS text))
        AND u.first_name || ' ' || u.last_name || ' ' || u.email::text ILIKE ALL (CAST(:words AS text[]))
    """,
}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which people are listed; None is any."""

    level: int | None = None
    words: tuple[str, ...] = ()


async def page(database: Database, wanted: Filter, *, after: UUID | None, rows: int) -> list[asyncpg.Record]:
    """`rows` people or a few more that joined after the one given."""
    values = _values(wanted, after)
    read = statement(frozenset(values) & frozenset(_CONDITIONS), depth(rows))
    return await database.rows(read, **values)


@cache
def statement(filters: frozenset[str], rows: int) -> Read:
    """The list with these of its conditions."""
    live = "u.deleted_at IS NULL AND u.restricted_at IS NULL"
    where = " AND ".join([live, *(_CONDITIONS[name] for name in sorted(filters))])
    return Read(
        text(f"SELECT {_COLUMNS} FROM users u WHERE {where} ORDER BY u.id LIMIT {rows}")  # noqa: S608
    )


def _values(wanted: Filter, after: UUID | None) -> dict[str, Any]:
    values: dict[str, Any] = {"after": after, "level": wanted.level}
    values |= parameters(wanted.words)
    return {name: value for name, value in values.items() if value is not None}
