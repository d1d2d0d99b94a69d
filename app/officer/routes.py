"""/api/v1/officers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.cached import Content
from app.db import Db
from app.fields import Latitude, Longitude
from app.guard import Authorized, GuardedRoute
from app.hot import hot
from app.idempotency import Idempotent
from app.officer import duty, service
from app.officer.repository import OfficerRepository
from app.officer.schemas import (
    AvailabilityIn,
    Metres,
    Nearby,
    OfficerCreate,
    OfficerFilter,
    OfficerPage,
    OfficerPatch,
    OfficerRead,
    PositionIn,
)
from app.openapi import problems
from app.page import Limit, json_response
from app.policy import API
from app.precondition import Seen, etag
from app.stats.invalidation import left_the_map
from app.user.repository import UserRepository
from app.user.service import prepare
from app.user.vault import Keys

PREFIX = f"{API}/officers"
router = APIRouter(prefix=PREFIX, tags=["officers"], route_class=GuardedRoute)

DEFAULT_M = 50_000  # as far as an emergency looks (section 7)


@router.get("", response_model=OfficerPage)
@hot
async def list_page(database: Db, query: Annotated[OfficerFilter, Query()]) -> Response:
    """Officers in the order they joined."""
    answer = await service.list_officers(database, query.wanted, cursor=query.cursor, limit=query.limit)
    return json_response(answer)


@router.get("/nearest", response_model=Nearby)
@hot
async def find_nearest(
    *,
    database: Db,
    lat: Annotated[Latitude, Query()],
    lon: Annotated[Longitude, Query()],
    max_m: Annotated[Metres, Query()] = DEFAULT_M,
    limit: Limit = 5,
    available_only: bool = False,
) -> Response:
    """The officers nearest to a point, nearest first."""
    answer = await service.find_nearest(
        database, lat=lat, lon=lon, max_m=max_m, limit=limit, available_only=available_only
    )
    return json_response(answer)


@router.get("/{officer_id}", response_model=OfficerRead)
@hot
async def read_one(officer_id: UUID, caller: Authorized, database: Db) -> Response:
    """One officer; level 1 sees only their own entry."""
    return _versioned(await service.read_officer(database, officer_id, caller))


@router.post("", status_code=201, response_model=OfficerRead, responses=problems(409))
async def create(
    body: OfficerCreate, caller: Authorized, database: Db, vault: Keys, once: Idempotent
) -> Response:
    """A new officer, of a known person or together with a new one."""
    person = await prepare(body.person) if body.person is not None else None
    async with database.transaction() as session:
        if (done := await once.replay(session)) is not None:
            return done
        answer = await service.create_officer(
            OfficerRepository(session),
            UserRepository(session),
            vault,
            body,
            person,
            actor=caller.principal.user,
        )
        location = f"{PREFIX}/{answer['uuid']}"
        response = json_response(answer, 201, ETag=etag(answer["version"]), Location=location)
        once.store(session, response)
    return response


@router.patch("/{officer_id}", response_model=OfficerRead, responses=problems(409))
async def change(
    officer_id: UUID, body: OfficerPatch, caller: Authorized, database: Db, seen: Seen
) -> Response:
    """Change code, rank, unit or specialty; what is not sent stays."""
    async with database.transaction() as session:
        answer = await service.change_officer(
            OfficerRepository(session), officer_id, body, seen=seen, caller=caller
        )
    return _versioned(answer)


@router.delete("/{officer_id}", status_code=204, responses=problems(409))
async def delete(officer_id: UUID, caller: Authorized, database: Db, seen: Seen, content: Content) -> None:
    """Take an officer out of the corps; not while an assignment is open."""
    async with database.transaction() as session:
        await service.delete_officer(OfficerRepository(session), officer_id, seen=seen, caller=caller)
    await left_the_map(content)


@router.put("/{officer_id}/availability", response_model=OfficerRead, responses=problems(409))
async def set_availability(
    officer_id: UUID, body: AvailabilityIn, caller: Authorized, database: Db
) -> Response:
    """Say whether an officer can be sent; level 1 for themselves."""
    async with database.transaction() as session:
        answer = await duty.set_availability(session, officer_id, body, caller)
    return _versioned(answer)


@router.post("/{officer_id}/position", status_code=204, responses=problems(409))
async def place(officer_id: UUID, body: PositionIn, caller: Authorized, database: Db) -> None:
    """Where the caller is now; needs their consent `location_sharing`. An older one than known is ignored."""
    async with database.transaction() as session:
        await duty.place(session, officer_id, body, caller)


def _versioned(answer: dict[str, object]) -> Response:
    return json_response(answer, ETag=etag(answer["version"]))
