"""/api/v1/auth."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request

from app.auth import service
from app.auth.schemas import LoginRequest, TokenAnswer
from app.db import Db
from app.errors import Code, Problem
from app.openapi import problems
from app.policy import API, GuardedRoute
from app.settings import Settings

router = APIRouter(prefix=f"{API}/auth", tags=["auth"], route_class=GuardedRoute)


@router.post("/login", responses=problems(401, 403, 413, 422, 503))
async def log_in(
    request: Request,
    body: LoginRequest,
    database: Db,
    origin: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> TokenAnswer:
    """An access token for e-mail and password."""
    settings: Settings = request.app.state.settings
    # A browser says where the page came from; programs do not.
    if origin is not None and not {origin, "*"} & set(settings.allowed_origins):
        raise Problem(Code.ORIGIN_REFUSED)
    password = body.password.get_secret_value()
    return await service.log_in(database, request.app.state.tokens, email=body.email, password=password)
