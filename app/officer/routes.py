"""/api/v1/officers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.db import Db
from app.fields import Latitude, Longitude
from app.officer import service
from app.officer.repository import OfficerRepository
from app.officer.schemas import Nearby, OfficerCreate, OfficerPage, OfficerRead
from app.openapi import CREATED, problems
from app.page import Cursor, Limit, json_response
from app.policy import API, Authorized, GuardedRoute
from app.precondition import etag
from app.user.repository import UserRepository
from app.user.service import prepare
from app.user.vault import Keys

PREFIX = f"{API}/officers"
router = APIRouter(prefix=PREFIX, tags=["officers"], route_class=GuardedRoute)

MAX_M = 100_000  # as far as the map looks (radius_m, section 4)
DEFAULT_M = 50_000  # as far as an emergency looks (section 7)


@router.get("", response_model=OfficerPage, responses=problems(401, 403, 422, 503))
async def list_page(database: Db, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Officers in the order they joined."""
    return json_response(await service.list_officers(database, cursor=cursor, limit=limit))


@router.get("/nearest", response_model=Nearby, responses=problems(401, 403, 422, 503))
async def find_nearest(
    database: Db,
    lat: Annotated[Latitude, Query()],
    lon: Annotated[Longitude, Query()],
    max_m: Annotated[float, Query(gt=0, le=MAX_M, allow_inf_nan=False, description="Metres.")] = DEFAULT_M,
    limit: Limit = 5,
) -> Response:
    """The officers nearest to a point, nearest first."""
    return json_response(await service.find_nearest(database, lat=lat, lon=lon, max_m=max_m, limit=limit))


@router.get("/{officer_id}", response_model=OfficerRead, responses=problems(401, 403, 404, 422, 503))
async def read_one(officer_id: UUID, caller: Authorized, database: Db) -> Response:
    """One officer; level 1 sees only their own entry."""
    answer = await service.read_officer(database, officer_id, caller)
    return json_response(answer, ETag=etag(answer["version"]))


@router.post(
    "",
    status_code=201,
    response_model=OfficerRead,
    responses={**problems(401, 403, 409, 413, 422, 503), **CREATED},
)
async def create(body: OfficerCreate, database: Db, vault: Keys) -> Response:
    """A new officer, of a known person or together with a new one."""
    person = await prepare(body.person) if body.person is not None else None
    async with database.transaction() as session:
        answer = await service.create_officer(
            OfficerRepository(session), UserRepository(session), vault, body, person
        )
    return json_response(answer, 201, ETag=etag(answer["version"]), Location=f"{PREFIX}/{answer['uuid']}")
