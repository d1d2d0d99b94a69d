"""Who may call what: one table for every route. A route that is not in it stops the start.

The guard runs before the body is read, so that a stranger learns nothing but 401.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from app import metrics
from app.auth.sessions import Sessions
from app.auth.tokens import Principal, TokenRefused
from app.errors import Code, Problem, StartError
from app.user.models import Level


@dataclass(frozen=True)
class Rule:
    """`level`: the least a caller needs; None: no token at all. `own_below`: callers under this level reach
    only what is their own, which the noun's service decides."""

    level: Level | None
    own_below: Level | None = None


ANYONE = Rule(None)
L1, L2, L3 = Rule(Level.OFFICER), Rule(Level.SUPERVISOR), Rule(Level.ADMINISTRATOR)
OWN_OR_L2 = Rule(Level.OFFICER, own_below=Level.SUPERVISOR)

API = "/api/v1"

RULES: Mapping[tuple[str, str], Rule] = {
    ("GET", "/health/live"): ANYONE,
    ("GET", "/health/ready"): ANYONE,
    ("GET", "/health/deep"): L3,
    ("GET", "/openapi.json"): ANYONE,
    ("GET", "/docs"): ANYONE,
    ("POST", f"{API}/auth/login"): ANYONE,
    ("GET", f"{API}/users/me"): L1,
    ("POST", f"{API}/users"): L3,
    ("GET", f"{API}/users/{{user_id}}"): L3,
    ("GET", f"{API}/officers"): L2,
    ("GET", f"{API}/officers/nearest"): L2,
    ("POST", f"{API}/officers"): L3,
    ("GET", f"{API}/officers/{{officer_id}}"): OWN_OR_L2,
}

# Left out where they must not exist; then they are 404, not forbidden.
OPTIONAL = frozenset({("GET", "/openapi.json"), ("GET", "/docs")})


@dataclass(frozen=True)
class Caller:
    """The verified caller of the route being served, and what the route's rule leaves them."""

    principal: Principal
    only_own: bool


async def authorize(authorization: str | None, rule: Rule, sessions: Sessions) -> Caller | None:
    """The caller, or None on a route for anyone. Raises Problem: 401 before 403."""
    if rule.level is None:
        return None
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _refused("missing")
    try:
        principal = await sessions.verified(token.strip())
    except TokenRefused as refused:
        raise _refused(refused.reason) from None
    if principal.level < rule.level:
        metrics.auth_failures.labels("level").inc()
        raise Problem(Code.FORBIDDEN)
    return Caller(principal, only_own=rule.own_below is not None and principal.level < rule.own_below)


def _refused(reason: str) -> Problem:
    metrics.auth_failures.labels(reason).inc()
    return Problem(Code.UNAUTHENTICATED, headers={"WWW-Authenticate": 'Bearer realm="gad"'})


class _JsonRequest(Request):
    """Reads bodies with orjson: quicker, and deep nesting, NaN and invalid UTF-8 are plain errors."""

    async def json(self) -> Any:
        """The body's value. Raises json.JSONDecodeError."""
        return orjson.loads(await self.body())


class GuardedRoute(APIRoute):
    """A route that asks the table before anything else of it runs."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler behind the guard."""
        handle = super().get_route_handler()
        rules = [
            RULES[method, self.path] for method in sorted(self.methods or ()) if (method, self.path) in RULES
        ]

        async def guarded(request: Request) -> Response:
            sessions: Sessions = request.app.state.sessions
            # A route outside the table never starts; this refuses even then.
            rule = rules[0] if rules else L3
            request.state.caller = await authorize(request.headers.get("authorization"), rule, sessions)
            return await handle(_JsonRequest(request.scope, request.receive))

        return guarded


def verify(routes: Iterable[tuple[str, str, bool]]) -> None:
    """Compare the table with (method, path, is guarded) of every route. Raises StartError on any gap."""
    found = {(method, path): guarded for method, path, guarded in routes}
    missing = sorted(found.keys() - RULES.keys())
    stale = sorted(RULES.keys() - found.keys() - OPTIONAL)
    open_doors = sorted(key for key, guarded in found.items() if not guarded and RULES.get(key, L3) != ANYONE)
    for keys, fact in (
        (missing, "has no rule in app/policy.py"),
        (stale, "has a rule in app/policy.py and no route"),
        (open_doors, "has a rule that nothing enforces"),
    ):
        if keys:
            names = ", ".join(f"{method} {path}" for method, path in keys)
            raise StartError(
                f"{names} {fact}", remedy="state who may call it in app/policy.py, on a GuardedRoute"
            )


async def _caller(request: Request) -> Caller:
    caller = request.state.caller
    if not isinstance(caller, Caller):
        raise Problem(Code.UNAUTHENTICATED)
    return caller


Authorized = Annotated[Caller, Depends(_caller)]
