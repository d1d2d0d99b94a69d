"""/api/v1/auth."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Header, Request, Response

from app.auth.device import FromDevice
from app.auth.schemas import LoginRequest, PasswordChange, PasswordProof, TokenAnswer
from app.auth.service import Gate, Opened
from app.auth.tokens import LIFETIME_S
from app.errors import Code, Problem
from app.guard import Authorized, GuardedRoute
from app.openapi import problems
from app.policy import API
from app.settings import Settings

PREFIX = f"{API}/auth"
COOKIE = "gad_refresh"
router = APIRouter(prefix=PREFIX, tags=["auth"], route_class=GuardedRoute)


async def _gate(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


async def _from_our_page(
    request: Request, origin: Annotated[str | None, Header(include_in_schema=False)] = None
) -> None:
    """A browser says where the page came from; programs do not. Raises Problem (origin_refused)."""
    settings: Settings = request.app.state.settings
    if origin is not None and not {origin, "*"} & set(settings.allowed_origins):
        raise Problem(Code.ORIGIN_REFUSED)


AtGate = Annotated[Gate, Depends(_gate)]
OUR_PAGE = [Depends(_from_our_page)]


@router.post("/login", dependencies=OUR_PAGE, responses=problems(401, 403))
async def log_in(body: LoginRequest, gate: AtGate, device: FromDevice, response: Response) -> TokenAnswer:
    """An access token for e-mail and password, and the refresh token as a cookie."""
    return _let_in(response, await gate.log_in(body.email, body.password.get_secret_value(), device))


@router.post("/refresh", dependencies=OUR_PAGE, responses=problems(401, 403, 409))
async def refresh(
    gate: AtGate,
    device: FromDevice,
    response: Response,
    gad_refresh: Annotated[
        str | None, Cookie(max_length=128, description="As login or the last refresh gave it.")
    ] = None,
) -> TokenAnswer:
    """The next access token, and the next cookie. A cookie works once: its second use ends the session."""
    if gad_refresh is None:
        raise Problem(Code.SESSION_ENDED, headers={"WWW-Authenticate": 'Bearer realm="gad"'})
    return _let_in(response, await gate.refresh(gad_refresh, device))


@router.post("/logout", status_code=204)
async def log_out(caller: Authorized, gate: AtGate) -> Response:
    """End this session, on every replica within 5 s."""
    await gate.log_out(caller.principal)
    return _out()


@router.post("/logout-all", status_code=204)
async def log_out_everywhere(caller: Authorized, gate: AtGate) -> Response:
    """End all sessions of the caller."""
    await gate.log_out(caller.principal, everywhere=True)
    return _out()


@router.post("/password", status_code=204)
async def change_password(
    body: PasswordChange, caller: Authorized, gate: AtGate, device: FromDevice
) -> Response:
    """Another password; ends all sessions of the caller, this one too."""
    old, new = body.old_password.get_secret_value(), body.new_password.get_secret_value()
    await gate.change_password(caller.principal, old, new, device)
    return _out()


@router.post("/reauth", status_code=204)
async def reauthenticate(
    body: PasswordProof, caller: Authorized, gate: AtGate, device: FromDevice
) -> Response:
    """Prove the password again; what asks for that accepts it for 5 minutes."""
    await gate.reauthenticate(caller.principal, body.password.get_secret_value(), device)
    return Response(status_code=204)


def _let_in(response: Response, opened: Opened) -> TokenAnswer:
    response.set_cookie(
        COOKIE,
        opened.refresh,
        max_age=opened.lasts_s,
        path=PREFIX,
        secure=True,
        httponly=True,
        samesite="strict",
    )
    return TokenAnswer(access_token=opened.access, expires_in=LIFETIME_S)


def _out() -> Response:
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path=PREFIX, secure=True, httponly=True, samesite="strict")
    return response
