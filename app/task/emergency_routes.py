"""/api/v1/tasks/emergency."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.cached import Content
from app.db import Db
from app.guard import Authorized, GuardedRoute
from app.idempotency import Idempotent
from app.openapi import CREATED, problems
from app.policy import API
from app.stats.invalidation import task_changed
from app.task import emergency
from app.task.emergency_schemas import EmergencyCreate, EmergencyRead
from app.task.turns import Turns

router = APIRouter(prefix=f"{API}/tasks", tags=["tasks"], route_class=GuardedRoute)


@router.post(
    "/emergency",
    status_code=201,
    response_model=EmergencyRead,
    responses={**problems(404, 409), **CREATED},
)
async def create(
    body: EmergencyCreate,
    request: Request,
    *,
    caller: Authorized,
    database: Db,
    once: Idempotent,
    content: Content,
) -> Response:
    """Help is needed now: a task in progress with the nearest officers who can come.

    404: nobody in range. 409: others took everybody in range at this moment. Supervisors are alerted.
    """
    zone = ZoneInfo(request.app.state.settings.tz)
    turns: Turns = request.app.state.turns
    async with turns.turn():
        raised = await emergency.raise_emergency(database, once, body, caller, zone=zone)
    await task_changed(content, users=raised.people)
    return raised.response
