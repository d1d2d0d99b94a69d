"""What can be done with officers."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID, uuid4

from geoalchemy2 import WKTElement
from sqlalchemy.exc import IntegrityError

from app import page
from app.db import Database, violated
from app.errors import Code, Problem
from app.officer import repository
from app.officer.models import Availability, Officer
from app.officer.repository import OfficerRepository
from app.officer.schemas import OfficerCreate, PositionIn
from app.policy import Caller
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


def _point(position: PositionIn) -> WKTElement:
    return WKTElement(f"POINT({position.lon!r} {position.lat!r})", srid=4326)


async def create_officer(
    officers: OfficerRepository,
    users: UserRepository,
    vault: Vault,
    body: OfficerCreate,
    person: NewUser | None,
) -> dict[str, object]:
    """Insert an officer, and first the person if it is a new one; does not commit. Answers the new officer.

    Raises Problem: unknown_user, internal_code_taken, user_is_officer, email_taken, dni_taken.
    """
    user = (
        await create_user(users, vault, person) if person is not None else await _known(users, body.user_id)
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
        code = _CONFLICTS.get(violated(error))
        if code is None:
            raise
        raise Problem(code) from None
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
    return user


async def read_officer(database: Database, uuid: UUID, caller: Caller) -> dict[str, object]:
    """One officer. Raises Problem: not_found; forbidden for somebody who may see only their own."""
    row = await repository.find(database, uuid)
    if row is None:
        raise Problem(Code.NOT_FOUND)
    if caller.only_own and row["user_id"] != caller.principal.user:
        raise Problem(Code.FORBIDDEN)
    return as_answer(row)


async def list_officers(database: Database, *, cursor: str | None, limit: int) -> dict[str, object]:
    """A page and the cursor of the next. Raises Invalid for a cursor that we never gave."""
    after = page.decode(cursor, UUID)[0] if cursor is not None else None
    rows = await repository.page(database, after=after, rows=limit + 1)
    return page.page(rows, limit, item=as_answer, key=lambda row: (row["uuid"],))


async def find_nearest(
    database: Database, *, lat: float, lon: float, max_m: float, limit: int
) -> dict[str, object]:
    """The nearest officers within `max_m` metres."""
    rows = await repository.nearest(database, lat=lat, lon=lon, max_m=max_m, rows=limit)
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
