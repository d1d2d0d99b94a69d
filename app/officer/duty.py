"""Whether an officer can be sent, and where they are."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Code, Problem
from app.events import Event, emit
from app.guard import Caller
from app.officer.record import topics
from app.officer.repository import OfficerRepository
from app.officer.schemas import AvailabilityIn, PositionIn
from app.officer.service import apply_changes, lock_officer
from app.privacy.consents import is_granted
from app.privacy.models import Purpose


async def set_availability(
    session: AsyncSession, uuid: UUID, body: AvailabilityIn, caller: Caller
) -> dict[str, object]:
    """Say whether the officer can be sent; does not commit. The same again changes nothing.

    Raises Problem: not_found, forbidden, restricted; officer_engaged at a task in progress or paused.
    """
    officers = OfficerRepository(session)
    row = await lock_officer(officers, uuid, caller)
    if await officers.is_engaged(row["id"]):
        raise Problem(Code.OFFICER_ENGAGED)
    return await apply_changes(
        officers,
        row,
        {"availability": body.availability},
        verb="availability",
        actor=caller.principal.user,
        data={"availability": body.availability},
    )


async def place(session: AsyncSession, uuid: UUID, body: PositionIn, caller: Caller) -> None:
    """Replace the officer's last position; does not commit. One older than the stored is ignored: devices
    send late what they could not send in time, and can do nothing about an error.

    The event says that there is a new position, not where: outbox and stream would be a history of places.
    For the same reason, and as a ping is no decision, only consents are audited.

    Raises Problem: not_found, forbidden, restricted; no_consent without a standing consent.
    """
    officers = OfficerRepository(session)
    row = await lock_officer(officers, uuid, caller)
    # After the lock, which a withdrawal takes too: none can come between the question and the write.
    if not await is_granted(session, row["user_key"], Purpose.LOCATION_SHARING):
        raise Problem(Code.NO_CONSENT)
    if await officers.place(row["id"], lat=body.lat, lon=body.lon, at=body.at):
        emit(
            session,
            Event(
                type="officer.location",
                topics=topics(row["uuid"], row["user_id"]),
                data={"officer": row["uuid"], "at": body.at},
            ),
        )
