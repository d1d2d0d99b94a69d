"""What can be done with officers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID, uuid4

from geoalchemy2 import WKTElement
from sqlalchemy import func
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from app import page, precondition
from app.db import Database, violated
from app.errors import Code, Problem
from app.guard import Caller
from app.officer import record, repository, search
from app.officer.models import Availability, Officer
from app.officer.record import OfficerChange
from app.officer.repository import OfficerRepository
from app.officer.schemas import OfficerCreate, OfficerPatch, PositionIn
from app.officer.search import Filter
from app.user.models import User
from app.user.repository import UserRepository
from app.user.service import NewUser, create_user
from app.user.vault import Vault


class Row(Protocol):
    """Columns as `app.officer.repository` names them: the driver's record, or made here."""

    def __getitem__(self, name: str, /) -> Any:
        """The column's value."""


_CONFLICTS = {
    "officers_internal_code_key": Code.INTERNAL_CODE_TAKEN,
    "officers_user_id_key": Code.USER_IS_OFFICER,
}
DECIMALS = 7  # of a degree: about a centimetre, finer than any receiver
_EDITED = ("internal_code", "rank", "unit", "specialty")


def _point(position: PositionIn) -> WKTElement:
    return WKTElement(f"POINT({position.lon!r} {position.lat!r})", srid=4326)


def _conflict(error: IntegrityError) -> Problem:
    """What the refused row means. Raises the error itself when it means nothing to a caller."""
    code = _CONFLICTS.get(violated(error))
    if code is None:
        raise error
    return Problem(code)


async def create_officer(
    officers: OfficerRepository,
    users: UserRepository,
    vault: Vault,
    body: OfficerCreate,
    person: NewUser | None,
    *,
    actor: UUID,
) -> dict[str, object]:
    """Insert an officer, and first the person if it is a new one; does not commit. Answers the new officer.

    Raises Problem: unknown_user, internal_code_taken, user_is_officer, email_taken, dni_taken, restricted.
    """
    user = (
        await create_user(users, vault, person, actor=actor)
        if person is not None
        else await _known(users, body.user_id)
    )
    position = body.position
    officer = Officer(
        uuid=uuid4(),
        user_id=user.id,
        internal_code=body.internal_code,
        rank=body.rank,
        unit=body.unit,
        specialty=body.specialty,
        availability=Availability.AVAILABLE.value,
        last_position=_point(position) if position is not None else None,
        position_at=position.at if position is not None else None,
    )
    try:
        await officers.add(officer)
    except IntegrityError as error:
        raise _conflict(error) from None
    record.write(
        officers.session,
        OfficerChange(verb="create", officer=officer.uuid, user=user.uuid, actor=actor, version=1),
    )
    # Not read again: everything is known here, and a read would need a connection once more.
    return as_answer(
        {name: getattr(officer, name) for name in _OWN}
        | {"user_id": user.uuid, "first_name": user.first_name, "last_name": user.last_name}
        | ({"lat": position.lat, "lon": position.lon} if position is not None else {})
    )


_OWN = (
    "uuid",
    "internal_code",
    "rank",
    "unit",
    "specialty",
    "availability",
    "position_at",
    "created_at",
    "updated_at",
    "version",
)


async def _known(users: UserRepository, uuid: UUID | None) -> User:
    user = await users.live(uuid) if uuid is not None else None
    if user is None:
        raise Problem(Code.UNKNOWN_USER)
    if user.restricted_at is not None:
        raise Problem(Code.RESTRICTED)
    return user


async def read_officer(database: Database, uuid: UUID, caller: Caller) -> dict[str, object]:
    """One officer. Raises Problem: not_found; forbidden for somebody who may see only their own."""
    row = await repository.find(database, uuid)
    if row is None:
        raise Problem(Code.NOT_FOUND)
    require_own(row, caller)
    return as_answer(row)


def require_own(row: Row, caller: Caller) -> None:
    """Raises Problem (forbidden) for somebody else's entry where the caller may reach only their own."""
    if caller.only_own and row["user_id"] != caller.principal.user:
        raise Problem(Code.FORBIDDEN)


async def lock_officer(officers: OfficerRepository, uuid: UUID, caller: Caller) -> RowMapping:
    """The officer about to be changed. Raises Problem: not_found, forbidden; restricted, as nothing about
    such a person changes until the restriction is lifted (product contract, section 9)."""
    row = await officers.lock(uuid)
    if row is None:
        raise Problem(Code.NOT_FOUND)
    require_own(row, caller)
    if row["restricted_at"] is not None:
        raise Problem(Code.RESTRICTED)
    return row


async def change_officer(
    officers: OfficerRepository, uuid: UUID, body: OfficerPatch, *, seen: int | None, caller: Caller
) -> dict[str, object]:
    """Write what differs; does not commit. Answers the officer as it is then.

    Raises Problem: not_found, restricted, stale, internal_code_taken.
    """
    row = await lock_officer(officers, uuid, caller)
    precondition.check(seen, row["version"])
    sent = {name: getattr(body, name) for name in _EDITED if name in body.model_fields_set}
    return await apply_changes(officers, row, sent, verb="update", actor=caller.principal.user)


async def apply_changes(
    officers: OfficerRepository,
    row: RowMapping,
    wanted: Mapping[str, Any],
    *,
    verb: str,
    actor: UUID,
    data: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Write what differs of a locked officer with its record; nothing at all if nothing does.

    Raises Problem: internal_code_taken.
    """
    changes = {name: value for name, value in wanted.items() if row[name] != value}
    if not changes:
        return as_answer(row)
    try:
        changed = await officers.change(row["id"], changes)
    except IntegrityError as error:
        raise _conflict(error) from None
    record.write(
        officers.session,
        OfficerChange(
            verb=verb,
            officer=row["uuid"],
            user=row["user_id"],
            actor=actor,
            version=changed["version"],
            fields=[*changes],
            data=data,
        ),
    )
    return as_answer({**row, **changes, **changed})


async def delete_officer(
    officers: OfficerRepository, uuid: UUID, *, seen: int | None, caller: Caller
) -> None:
    """Take an officer out of the corps; does not commit. The position goes: nobody needs it any more.

    Raises Problem: not_found, restricted, stale; officer_assigned while an assignment is open.
    """
    row = await lock_officer(officers, uuid, caller)
    precondition.check(seen, row["version"])
    # The lock keeps new assignments out: their foreign key waits for it.
    if await officers.is_assigned(row["id"]):
        raise Problem(Code.OFFICER_ASSIGNED)
    changed = await officers.change(
        row["id"], {"deleted_at": func.now(), "last_position": None, "position_at": None}
    )
    record.write(
        officers.session,
        OfficerChange(
            verb="delete",
            officer=row["uuid"],
            user=row["user_id"],
            actor=caller.principal.user,
            version=changed["version"],
        ),
    )


async def list_officers(
    database: Database, wanted: Filter, *, cursor: str | None, limit: int
) -> dict[str, object]:
    """A page and the cursor of the next. Raises Invalid for a cursor that we never gave."""
    after = page.decode(cursor, UUID)[0] if cursor is not None else None
    rows = await search.page(database, wanted, after=after, rows=limit + 1)
    return page.page(rows, limit, item=as_answer, key=lambda row: (row["uuid"],))


async def find_nearest(
    database: Database, *, lat: float, lon: float, max_m: float, limit: int, available_only: bool
) -> dict[str, object]:
    """The nearest officers within `max_m` metres."""
    rows = await repository.nearest(
        database, lat=lat, lon=lon, max_m=max_m, rows=limit, available_only=available_only
    )
    return {"items": [{**as_answer(row), "distance_m": round(row["distance_m"], 2)} for row in rows]}


def as_answer(row: Row) -> dict[str, object]:
    """A row as `OfficerRead` shows it; plain, as the hot reads skip the model."""
    position = None
    if row["position_at"] is not None:
        position = {
            "lat": round(row["lat"], DECIMALS),
            "lon": round(row["lon"], DECIMALS),
            "at": row["position_at"],
        }
    return {
        "uuid": row["uuid"],
        "user_id": row["user_id"],
        "internal_code": row["internal_code"],
        "first_name": row["first_name"],
        "last_name": row["last_name"],
        "rank": row["rank"],
        "unit": row["unit"],
        "specialty": row["specialty"],
        "availability": row["availability"],
        "position": position,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "version": row["version"],
    }
