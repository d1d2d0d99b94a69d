"""PostgreSQL: one small pool, transactions for writes, prepared reads in autocommit, honest failures.

Whatever the database's absence looks like below (refused, reset, too slow, pool empty), callers see one
thing: `app.errors.Unavailable`, a 503 with Retry-After. Nothing is retried here: a write may have happened.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import orjson
from fastapi import Depends
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
from sqlalchemy.exc import DBAPIError, DisconnectionError, EmulatedDBAPIException, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.sql import ClauseElement
from sqlalchemy.util.concurrency import greenlet_spawn
from starlette.requests import Request

from app import metrics
from app.errors import Unavailable
from app.settings import PoolSize

_PLACE = re.compile(r"\$([0-9]+)")  # of a value in a compiled statement
CONNECT_S = 2.0  # chosen: as long as a caller may wait for a connection at all

# In a session's info: the asyncpg connection below it, and what is written at the end.
_DRIVER, _LAST = "driver", "last"
_ROWS = "rows"  # the parameter of an INSERT of many
QUERY_CANCELED = "57014"  # the statement timeout
# Shutdown, crash and start-up of the server, connection limits, deadlock: try again later.
_PASSING = ("57P01", "57P02", "57P03", "53", "08", "40001", "40P01")
# The connection, not the statement. InternalClientError: the server said goodbye while the connection was
# idle, and its socket is not closed yet.
_BROKEN = (asyncpg.InterfaceError, asyncpg.InternalClientError, DisconnectionError)


class Row(DeclarativeBase):
    """Base of all mapped tables. Names of constraints are fixed: services tell conflicts apart by them."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )


class Entity(Row):
    """A row that people know by its `uuid`; `id` never leaves the database."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    uuid: Mapped[UUID] = mapped_column(unique=True, default=uuid4, server_default=text("gen_random_uuid()"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now()
    )
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"), default=1)


def one_of(column: str, values: type[Enum]) -> CheckConstraint:
    """CHECK that the column holds a value of the enum; its name follows from the column's."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(each.value) for each in values)})", name=column)


schema_info = Table(
    "schema_info",
    Row.metadata,
    Column("ordinal", Integer, nullable=False),
    Column("min_ordinal", Integer, nullable=False),
    Index("schema_info_one_row_key", text("(true)"), unique=True),
)


class Read:
    """A Core statement compiled once; it runs on the asyncpg connection itself, which costs a quarter of the
    session's way: on one of the pool's without a transaction, or inside a unit of work (`run`)."""

    def __init__(self, statement: ClauseElement) -> None:
        dialect = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._order: tuple[str, ...] = tuple(compiled.positiontup or ())  # type: ignore[attr-defined]
        self._given = {name: value for name, value in compiled.params.items() if value is not None}

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        """The values in the statement's order. KeyError: one is missing."""
        merged = {**self._given, **values}
        return [merged[name] for name in self._order]


class _Last(NamedTuple):
    """What a unit of work writes at its end. `refusals`: what to raise, by the constraint that refuses it."""

    write: Read
    values: dict[str, Any]
    refusals: Mapping[str, Exception]

    def arguments(self) -> list[Any]:
        """In the statement's order; rows as JSON."""
        rows = self.values.get(_ROWS)
        given = (
            {} if rows is None else {_ROWS: orjson.dumps(rows, default=str, option=orjson.OPT_UTC_Z).decode()}
        )
        return self.write.arguments(self.values | given)


class Database:
    """The pool of one process.

    `wait_s` bounds the wait for a connection, `statement_ms` each statement (set in the server).
    """

    def __init__(self, url: str, *, pool: PoolSize, wait_s: float, statement_ms: int, name: str) -> None:
        async def connect() -> asyncpg.Connection[asyncpg.Record]:
            return await asyncpg.connect(
                url,
                timeout=CONNECT_S,
                # The server cancels at statement_ms; this ends the wait when the server itself is gone.
                command_timeout=statement_ms / 1000 + 1,
                server_settings={"statement_timeout": str(statement_ms), "application_name": name},
            )

        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=pool.kept,
            max_overflow=pool.overflow,
            pool_timeout=wait_s,
            pool_reset_on_return=None,  # so none comes back open
            pool_use_lifo=True,  # a busy connection keeps its prepared statements warm
            isolation_level="AUTOCOMMIT",  # `transaction` begins and ends them, for both ways of a statement
            hide_parameters=True,
        )
        self._pool = self._engine.pool
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A unit of work: committed at the end of the block, rolled back by any exception.

        Raises Unavailable. IntegrityError passes, for the service that knows what the conflict means.
        """
        with _honest():
            async with self._connection() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                info: dict[str, Any] = {_DRIVER: driver, _LAST: []}
                async with (
                    _begun(driver),
                    AsyncSession(bind=connection, expire_on_commit=False, info=info) as session,
                ):
                    yield session
                    await write_out(session)

    async def rows(self, read: Read, **values: Any) -> list[asyncpg.Record]:
        """What `read` answers for `values`. Raises Unavailable."""
        with _honest():
            asked = time.perf_counter()
            # From the pool itself: the engine's own connection object costs as much as a small statement.
            held = await greenlet_spawn(self._pool.connect)
            metrics.db_pool_wait.observe(time.perf_counter() - asked)
            try:
                driver: asyncpg.Connection[asyncpg.Record] = held.driver_connection  # type: ignore[assignment]
                return await driver.fetch(read.sql, *read.arguments(values))
            finally:
                await greenlet_spawn(held.close)

    async def row(self, read: Read, **values: Any) -> asyncpg.Record | None:
        """The first row, or None. Raises Unavailable."""
        found = await self.rows(read, **values)
        return found[0] if found else None

    def connections(self) -> tuple[int, int]:
        """In use and idle."""
        pool = self._pool
        assert isinstance(pool, AsyncAdaptedQueuePool)  # noqa: S101 - we chose it above
        return pool.checkedout(), pool.checkedin()

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        asked = time.perf_counter()
        connection = await self._engine.connect()
        metrics.db_pool_wait.observe(time.perf_counter() - asked)
        try:
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def _begun(driver: Any) -> AsyncIterator[None]:
    """BEGIN, and COMMIT or ROLLBACK at the end; a connection of which neither is known is closed."""
    try:
        await driver.execute("BEGIN")
        yield
        await driver.execute("COMMIT")
    except Exception:
        try:
            await driver.execute("ROLLBACK")
        except (asyncpg.PostgresError, TimeoutError, OSError, *_BROKEN):
            driver.terminate()  # the failure above is what the caller is told
        raise
    except BaseException:
        driver.terminate()  # cancelled: nobody is left who could wait for an answer
        raise


async def run(session: AsyncSession, read: Read, **values: Any) -> list[asyncpg.Record]:
    """What `read` answers inside a unit of work. Raises IntegrityError, as the session does."""
    if session.new or session.dirty or session.deleted:
        await session.flush()
    try:
        found: list[asyncpg.Record] = await session.info[_DRIVER].fetch(read.sql, *read.arguments(values))
    except asyncpg.IntegrityConstraintViolationError as error:
        raise IntegrityError(read.sql, None, error, hide_parameters=True) from error
    return found


def at_end(
    session: AsyncSession, write: Read, *, refusals: Mapping[str, Exception] | None = None, **values: Any
) -> None:
    """Write it when the unit of work ends, in one statement with all else that is: each saves a round trip.

    For what nothing reads before the commit. `write` is one INSERT without a WITH of its own; `refusals` are
    raised instead of IntegrityError, by the name of the constraint. In which order two of them write is not
    said: see `rows_at_end`.
    """
    session.info[_LAST].append(_Last(write, values, refusals or {}))


def rows_at_end(session: AsyncSession, write: Read, rows: Sequence[Mapping[str, object]]) -> None:
    """As `at_end`, for an INSERT of many: all rows of a unit of work together, in the order they came in.

    The statement finds them as JSON under the name `rows`.
    """
    last: list[_Last] = session.info[_LAST]
    for each in last:
        if each.write is write:
            each.values[_ROWS].extend(rows)
            return
    if rows:
        last.append(_Last(write, {_ROWS: [*rows]}, {}))


async def write_out(session: AsyncSession) -> None:
    """Write now what waits for the end of the unit of work. Raises IntegrityError, or a refusal instead."""
    await session.flush()
    last: list[_Last] = session.info[_LAST]
    if not last:
        return
    session.info[_LAST] = []
    together = _together(tuple(each.write.sql for each in last))
    arguments = [value for each in last for value in each.arguments()]
    try:
        await session.info[_DRIVER].execute(together, *arguments)
    except asyncpg.IntegrityConstraintViolationError as error:
        for each in last:
            if (refused := each.refusals.get(error.constraint_name or "")) is not None:
                raise refused from error
        raise IntegrityError(together, None, error, hide_parameters=True) from error


@lru_cache(maxsize=64)  # chosen: more than there are combinations
def _together(statements: tuple[str, ...]) -> str:
    """All of them as one; the places of each one's values follow those of the one before."""
    parts, places = [], 0
    for number, statement in enumerate(statements):
        text_and_places = _PLACE.split(statement)
        moved = [f"${int(place) + places}" for place in text_and_places[1::2]]
        text_and_places[1::2] = moved
        parts.append(f"last_{number} AS ({''.join(text_and_places)})")
        places += len(set(moved))
    return f"WITH {', '.join(parts)} SELECT"


def _refuse_closed(connection: Any, _entry: ConnectionPoolEntry, _proxy: object) -> None:
    """The driver knows when its socket was closed: a look costs nothing, a ping costs a round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError("closed while idle")  # the pool opens another


@contextmanager
def _honest() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except PoolTimeout as error:
        raise _unavailable("pool_timeout") from error
    except DBAPIError as error:
        sqlstate = str(getattr(error.orig, "sqlstate", None) or "")
        if sqlstate == QUERY_CANCELED:
            raise _unavailable("statement_timeout") from error
        if error.connection_invalidated or sqlstate.startswith(_PASSING) or not sqlstate:
            raise _unavailable("connect") from error
        metrics.db_errors.labels("other").inc()
        raise
    except EmulatedDBAPIException as error:  # of a new connection for `rows`: nobody wrapped it
        sqlstate = str(getattr(error, "sqlstate", None) or "")
        if sqlstate.startswith(_PASSING) or not sqlstate:
            raise _unavailable("connect") from error
        metrics.db_errors.labels("other").inc()
        raise
    except asyncpg.PostgresError as error:
        sqlstate = str(error.sqlstate or "")
        if sqlstate == QUERY_CANCELED:
            raise _unavailable("statement_timeout") from error
        if sqlstate.startswith(_PASSING):
            raise _unavailable("connect") from error
        metrics.db_errors.labels("other").inc()
        raise
    except (TimeoutError, OSError, *_BROKEN) as error:
        raise _unavailable("connect") from error


def _unavailable(kind: str) -> Unavailable:
    metrics.db_errors.labels(kind).inc()
    return Unavailable()


def violated(error: IntegrityError) -> str:
    """Name of the constraint or unique index that refused the row; empty if the server did not say."""
    cause = error.orig.__cause__ if isinstance(error.orig, EmulatedDBAPIException) else error.orig
    return str(getattr(cause, "constraint_name", None) or "")


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


Db = Annotated[Database, Depends(_database)]
