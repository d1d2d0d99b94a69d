"""The outbox: committed events are published in the order of their ids, each of them once.

A row is noted as published after it is in the stream. Whoever dies in between publishes it again, and the
stream refuses an event it knows; so nothing is lost and nothing comes twice.
"""

from __future__ import annotations

import logging
from datetime import timedelta

import orjson

from app.cache import CACHE_ERRORS
from app.leader import Connection
from app.stream import Stream, fields_of

BATCH = 200  # chosen: one script of about 1 ms, so that Redis serves others in between
KEPT = timedelta(hours=24)  # chosen: long enough to ask what became of an event

_PENDING = f"""
    SELECT id, uuid, topics, envelope FROM event_outbox
    WHERE published_at IS NULL ORDER BY id LIMIT {BATCH}
"""  # noqa: S608 - our own number
_NOTE = "UPDATE event_outbox SET published_at = now() WHERE id = ANY($1::bigint[])"
# In slices, so that no row is locked for long; the duty comes again.
_DELETE = """
    DELETE FROM event_outbox WHERE id IN (
        SELECT id FROM event_outbox WHERE published_at < now() - $1::interval
        ORDER BY published_at LIMIT 5000)
"""
COUNT_PENDING = "SELECT count(*) AS pending FROM event_outbox WHERE published_at IS NULL"

log = logging.getLogger("gad.outbox")


class Publisher:
    """What the leader of events does whenever something was committed."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waits = False

    async def publish(self, connection: Connection) -> None:
        """Publish whatever is pending. Rows wait while Redis is away; raises what the database raises."""
        while rows := await connection.fetch(_PENDING):
            events = [fields_of(row["uuid"], row["topics"], orjson.loads(row["envelope"])) for row in rows]
            try:
                await self._stream.publish(events)
            except CACHE_ERRORS as error:
                if not self._waits:
                    log.warning("events wait", extra={"fields": {"reason": type(error).__name__}})
                self._waits = True
                return
            await connection.execute(_NOTE, [row["id"] for row in rows])
            if self._waits:
                log.info("events flow again")
                self._waits = False
            if len(rows) < BATCH:
                return


async def delete_published(connection: Connection) -> None:
    """Delete what was published more than `KEPT` ago."""
    await connection.execute(_DELETE, KEPT)
