"""/health: live for the container's own check, ready for the proxy, deep for people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict

from app import __version__
from app.errors import RETRY_AFTER_S, Code, problem_response
from app.fields import Answer
from app.guard import GuardedRoute
from app.health.checks import Health, State
from app.openapi import problems

router = APIRouter(prefix="/health", tags=["health"], route_class=GuardedRoute)


class Alive(Answer):
    """The process runs."""

    model_config = ConfigDict(title="Alive", json_schema_extra={"examples": [{"state": "alive"}]})

    state: str


class Ready(Answer):
    """Traffic may come."""

    model_config = ConfigDict(
        title="Ready",
        json_schema_extra={
            "examples": [
                {
                    "state": "ready",
                    "slot": "blue",
                    "version": "0.1.0",
                    "checks": {"database": {"ok": True, "ms": 0.9}, "rotation": {"ok": True, "live": "blue"}},
                }
            ]
        },
    )

    state: State
    slot: str | None
    version: str
    checks: dict[str, dict[str, Any]]


_DEEP = {
    "state": "ready",
    "version": "0.1.0",
    "checks": {"database": {"ok": True, "ms": 0.9}, "redis": {"ok": True, "ms": 0.4}},
    "pool": {"in_use": 0, "idle": 5},
    "event_loop_lag_s": 0.0003,
    "versions": {"postgresql": "17.6", "postgis": "3.5.3", "recovering": False},
}


@router.get("/live")
async def live() -> Alive:
    """Whether the process runs; asks nothing else."""
    return Alive(state="alive")


@router.get("/ready", response_model=Ready, responses=problems(503))
async def ready(request: Request) -> Response | Ready:
    """Whether this replica should get traffic; 503 lists the same checks."""
    health: Health = request.app.state.health
    report = await health.ready()
    slot = request.app.state.settings.slot
    if report.state == "unready":
        return problem_response(
            Code.NOT_READY,
            headers={"Retry-After": str(RETRY_AFTER_S)},
            state=report.state,
            slot=slot,
            version=__version__,
            checks=report.checks,
        )
    return Ready(state=report.state, slot=slot, version=__version__, checks=report.checks)


@router.get("/deep", responses={200: {"content": {"application/json": {"example": _DEEP}}}})
async def deep(request: Request) -> dict[str, Any]:
    """Versions, pool, lag and every check."""
    health: Health = request.app.state.health
    return await health.deep()
