"""/api/v1/stats."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.cached import Content, as_response
from app.db import Db
from app.guard import Authorized, GuardedRoute
from app.hot import hot
from app.policy import API
from app.stats import service
from app.stats.schemas import TaskStats, TeamStats, UserStats

router = APIRouter(prefix=f"{API}/stats", tags=["stats"], route_class=GuardedRoute)

Days = Annotated[int, Query(ge=1, le=365, description="How far back the tasks were created.")]


@router.get("/users/{user_id}", response_model=UserStats)
@hot
async def of_user(
    user_id: UUID, caller: Authorized, content: Content, database: Db, days: Days = 30
) -> Response:
    """The tasks somebody answered for or was assigned to; level 1 sees only their own."""
    return as_response(await service.user_stats(content, database, user_id, days, caller))


@router.get("/team", response_model=TeamStats)
@hot
async def of_team(content: Content, database: Db, days: Days = 30) -> Response:
    """The team's tasks."""
    return as_response(await service.team_stats(content, database, days))


@router.get("/tasks", response_model=TaskStats)
@hot
async def of_tasks(content: Content, database: Db) -> Response:
    """How long tasks of each type and priority take, of all time; computed each 15 minutes."""
    return as_response(await service.task_stats(content, database))
