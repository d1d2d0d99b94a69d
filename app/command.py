"""What the commands `python -m app.…` of a running slot share: settings, one connection, plain failures."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app import ending, logs
from app.db import Database
from app.errors import StartError, Unavailable
from app.settings import PoolSize, Settings, load


@asynccontextmanager
async def one_connection(settings: Settings, name: str) -> AsyncIterator[Database]:
    """A database of a single connection, closed afterwards; `name` is what the server shows of it."""
    database = Database(
        settings.database_url.get_secret_value(),
        pool=PoolSize(1, 0),
        wait_s=settings.db_pool_s,
        statement_ms=settings.db_statement_ms,
        name=name,
    )
    try:
        yield database
    finally:
        await ending.close(database.close())  # a server that hangs hears no goodbye


def run(work: Callable[[Settings], int]) -> int:
    """The exit code of `work`; 1 the database is away, 2 settings or what `work` was told are wrong."""
    try:
        settings = load(Settings)
        logs.configure("ERROR")
        return work(settings)
    except StartError as error:
        print(error, file=sys.stderr)
        return 2
    except Unavailable:
        print("error: PostgreSQL does not answer\nremedy: start it, then try again", file=sys.stderr)
        return 1
