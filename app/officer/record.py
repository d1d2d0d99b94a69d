"""What a change of an officer leaves behind: an audit event, and an event for those concerned.

Both in the unit of work of the change. They name fields and say availability; never a name or a place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.models import Severity
from app.audit.recorder import Audit, record
from app.events import Event, emit


def topics(officer: UUID, user: UUID) -> tuple[str, ...]:
    """Who hears of an officer."""
    return ("officers", f"officer.{officer}", f"user.{user}")


@dataclass(frozen=True, kw_only=True)
class OfficerChange:
    """One change of an officer. `verb`: create, update, delete, availability, shift.create, shift.delete."""

    verb: str
    officer: UUID
    user: UUID
    actor: UUID
    version: int
    fields: Sequence[str] = ()
    data: Mapping[str, object] | None = None


# Chosen: who leaves the corps may be asked about years later.
_SEVERITY = {"delete": Severity.MEDIUM}
# Sockets know few types (product contract, section 6): a shift is a fact about its officer.
_EVENTS = {
    "create": "officer.created",
    "delete": "officer.deleted",
    "availability": "officer.availability",
}


def write(session: AsyncSession, change: OfficerChange) -> None:
    """Write both. Does not commit. Raises what the database raises."""
    data = dict(change.data or {})
    record(
        session,
        Audit(
            type=f"officer.{change.verb}",
            resource=f"officer/{change.officer}",
            actor=change.actor,
            severity=_SEVERITY.get(change.verb, Severity.LOW),
            payload={"fields": sorted(change.fields), **data},
        ),
    )
    emit(
        session,
        Event(
            type=_EVENTS.get(change.verb, "officer.updated"),
            topics=topics(change.officer, change.user),
            data={
                "officer": change.officer,
                "version": change.version,
                "fields": sorted(change.fields),
                **data,
            },
        ),
    )
