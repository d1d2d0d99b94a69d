"""/api/v1/notifications and /api/v1/admin/ws; the sockets themselves are app/ws/endpoint.py."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.db import Db
from app.guard import Authorized, GuardedRoute
from app.idempotency import Idempotent
from app.openapi import problems
from app.page import json_response
from app.policy import API
from app.ws import service
from app.ws.schemas import NotificationAccepted, NotificationCreate, SocketState

router = APIRouter(prefix=API, route_class=GuardedRoute)


@router.post(
    "/notifications",
    status_code=202,
    response_model=NotificationAccepted,
    responses=problems(422),
    tags=["notifications"],
)
async def notify(body: NotificationCreate, caller: Authorized, database: Db, once: Idempotent) -> Response:
    """A message to people, over the sockets they have open or open next."""
    async with database.transaction() as session:
        if (done := await once.replay(session)) is not None:
            return done
        response = json_response(await service.notify(session, body, caller.principal.user), 202)
        once.store(session, response)
    return response


@router.get("/admin/ws", response_model=SocketState, tags=["admin"])
async def show(request: Request, database: Db) -> Response:
    """Sockets of the replica that answers, and how far events have come."""
    state = request.app.state
    return json_response(
        await service.describe(
            database,
            state.stream,
            state.sockets.hub,
            slot=state.settings.slot,
            publishes=state.leaders[0].leads,
        )
    )
