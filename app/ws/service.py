"""Notifications to people, and what administrators are told about sockets."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.recorder import Audit, record
from app.cache import CACHE_ERRORS
from app.db import Database
from app.errors import Code, Problem
from app.events import Event, emit
from app.stream import Stream, id_of
from app.ws import repository
from app.ws.hub import Hub
from app.ws.schemas import NotificationCreate
from app.ws.topics import SYSTEM

TOPICS_AN_EVENT = 200  # chosen: an entry of the stream stays under 10 kB


async def notify(session: AsyncSession, body: NotificationCreate, sender: UUID) -> dict[str, object]:
    """Send it with what `session` commits. Raises Problem: unknown_user if one of the named is not there."""
    uuid = uuid4()
    if body.all:  # one topic that they all hear; who they are is not asked
        topics, recipients = [SYSTEM], await repository.everybody(session)
    else:
        people = await repository.audience(session, users=body.users, level=body.level)
        if body.users is not None and len(people) != len(body.users):
            raise Problem(Code.UNKNOWN_USER)
        topics, recipients = [f"user.{person}" for person in people], len(people)
    data = {"notification": uuid, "title": body.title, "text": body.text, "sender": sender}
    slices = [topics[at : at + TOPICS_AN_EVENT] for at in range(0, len(topics), TOPICS_AN_EVENT)]
    emit(session, *(Event(type="notification", topics=tuple(each), data=data) for each in slices))
    audience = "all" if body.all else "users" if body.users is not None else f"level {body.level:d}"
    record(
        session,
        Audit(
            type="notification.send",
            resource=f"notification/{uuid}",
            actor=sender,
            payload={"audience": audience, "recipients": recipients},
        ),
    )
    return {"notification": uuid, "recipients": recipients}


async def describe(
    database: Database, stream: Stream, hub: Hub, *, slot: str | None, publishes: bool
) -> dict[str, object]:
    """The state of this replica's sockets. Raises Unavailable."""
    pending, oldest_s = await repository.outbox(database)
    try:
        last_id = id_of((await stream.bounds()).last)
    except CACHE_ERRORS:
        last_id = None
    return {
        "slot": slot,
        "connections": len(hub.clients),
        "topics": hub.topic_count(),
        "sent": hub.sent,
        "closed": dict(sorted(hub.closed.items())),
        "is_degraded": hub.is_degraded,
        "publishes": publishes,
        "outbox": {"pending": pending, "oldest_s": oldest_s},
        "stream": {"last_id": last_id, "read_id": id_of(hub.position)},
    }
