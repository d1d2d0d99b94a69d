"""/api/v1/officers/{officer_id}/shifts."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from app.db import Db
from app.guard import Authorized, GuardedRoute
from app.idempotency import Idempotent
from app.officer import shifts
from app.officer.shift_schemas import ShiftCreate, ShiftPage, ShiftRead
from app.openapi import problems
from app.page import Cursor, Limit, json_response
from app.policy import API
from app.precondition import Seen, etag

PREFIX = f"{API}/officers/{{officer_id}}/shifts"
router = APIRouter(prefix=PREFIX, tags=["officers"], route_class=GuardedRoute)


@router.get("", response_model=ShiftPage)
async def list_page(
    officer_id: UUID, caller: Authorized, database: Db, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """When an officer is on duty, the latest first; level 1 sees only their own."""
    answer = await shifts.list_shifts(database, officer_id, cursor=cursor, limit=limit, caller=caller)
    return json_response(answer)


@router.post("", status_code=201, response_model=ShiftRead, responses=problems(409))
async def create(
    officer_id: UUID, body: ShiftCreate, caller: Authorized, database: Db, once: Idempotent
) -> Response:
    """A further shift."""
    async with database.transaction() as session:
        if (done := await once.replay(session)) is not None:
            return done
        answer = await shifts.add_shift(session, officer_id, body, caller)
        location = f"{PREFIX.format(officer_id=officer_id)}/{answer['uuid']}"
        response = json_response(answer, 201, ETag=etag(answer["version"]), Location=location)
        once.store(session, response)
    return response


@router.delete("/{shift_id}", status_code=204, responses=problems(409))
async def delete(officer_id: UUID, shift_id: UUID, caller: Authorized, database: Db, seen: Seen) -> None:
    """Take a shift back."""
    async with database.transaction() as session:
        await shifts.remove_shift(session, officer_id, shift_id, seen=seen, caller=caller)
