"""One write of a task as a request makes it: once, in one transaction, and then the cached answers go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends
from starlette.responses import Response

from app.cached import Content, ContentCache
from app.db import Database, Db
from app.guard import Authorized, Caller
from app.idempotency import Once
from app.page import json_response
from app.precondition import etag
from app.stats.invalidation import task_changed
from app.task.repository import TaskRepository
from app.task.work import Written

Work = Callable[[TaskRepository], Awaitable[Written]]


@dataclass(frozen=True)
class Writer:
    """Who writes, where, and which answers are kept elsewhere. `at` is the moment of the write (UTC)."""

    caller: Caller
    database: Database
    content: ContentCache
    at: datetime

    async def write(self, work: Work) -> Written:
        """Do it. Raises what `work` raises; then nothing is written."""
        async with self.database.transaction() as session:
            written = await work(TaskRepository(session))
        await task_changed(self.content, users=written.people)
        return written

    async def write_once(
        self, once: Once, work: Work, *, status: int = 200, location: str | None = None
    ) -> Response:
        """Do it, or answer as before if this very request was served already. `location` may name {uuid}."""
        async with self.database.transaction() as session:
            if (done := await once.replay(session)) is not None:
                return done
            written = await work(TaskRepository(session))
            headers = {"Location": location.format(**written.answer)} if location is not None else {}
            response = answer(written, status, **headers)
            once.store(session, response)
        await task_changed(self.content, users=written.people)
        return response


def answer(written: Written, status: int = 200, **headers: str) -> Response:
    """The task as it is now, with its version."""
    return json_response(written.answer, status, ETag=etag(written.answer["version"]), **headers)


async def _writer(caller: Authorized, database: Db, content: Content) -> Writer:
    return Writer(caller, database, content, datetime.now(UTC))


Writes = Annotated[Writer, Depends(_writer)]
