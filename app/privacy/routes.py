"""/api/v1/privacy."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.cached import Content
from app.db import Db
from app.guard import Authorized, GuardedRoute
from app.idempotency import Idempotent
from app.openapi import problems
from app.page import json_response
from app.policy import API
from app.privacy import consents
from app.privacy.models import Purpose
from app.privacy.schemas import ConsentCreate, ConsentRead, Consents
from app.stats.invalidation import left_the_map

PREFIX = f"{API}/privacy"
router = APIRouter(prefix=PREFIX, tags=["privacy"], route_class=GuardedRoute)


@router.get("/consents", response_model=Consents)
async def list_consents(caller: Authorized, database: Db) -> Response:
    """What the caller agrees to."""
    return json_response(await consents.list_consents(database, caller.principal.user))


@router.post("/consents", status_code=201, response_model=ConsentRead, responses=problems(404))
async def grant(body: ConsentCreate, caller: Authorized, database: Db, once: Idempotent) -> Response:
    """Agree to one purpose."""
    async with database.transaction() as session:
        if (done := await once.replay(session)) is not None:
            return done
        answer = await consents.grant(session, caller.principal.user, body)
        response = json_response(answer, 201, Location=f"{PREFIX}/consents/{body.purpose}")
        once.store(session, response)
    return response


@router.delete("/consents/{purpose}", status_code=204)
async def withdraw(purpose: Purpose, caller: Authorized, database: Db, content: Content) -> None:
    """Agree no longer. Without `location_sharing` the caller's last position is deleted at once."""
    async with database.transaction() as session:
        await consents.withdraw(session, caller.principal.user, purpose)
    await left_the_map(content)
