"""Who may call what: one table for every route. A route that is not in it stops the start.

The guard runs before the body is read, so that a stranger learns nothing but 401.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import orjson
from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from app import metrics
from app.audit.denials import Denials
from app.auth.sessions import Sessions
from app.auth.tokens import Principal, TokenRefused
from app.errors import Code, Problem, StartError
from app.limits import Limits, RateClass, address_of
from app.user.models import Level


@dataclass(frozen=True)
class Rule:
    """`level`: the least a caller needs; None: no token at all. `own_below`: callers under this level reach
    only what is their own, which the noun's service decides. `rate`: what its requests count as, where
    `rate_of` does not say it right."""

    level: Level | None
    own_below: int | None = None
    rate: RateClass | None = None


ANYONE = Rule(None)
SIGNING_IN = Rule(None, rate=RateClass.AUTH)
L1, L2, L3 = Rule(Level.OFFICER), Rule(Level.SUPERVISOR), Rule(Level.ADMINISTRATOR)
OWN_OR_L2 = Rule(Level.OFFICER, own_below=Level.SUPERVISOR)
EMERGENCY = Rule(Level.OFFICER, rate=RateClass.EMERGENCY)
OWN = Rule(Level.OFFICER, own_below=Level.ADMINISTRATOR + 1)  # whoever it is

API = "/api/v1"

RULES: Mapping[tuple[str, str], Rule] = {
    ("GET", "/health/live"): ANYONE,
    ("GET", "/health/ready"): ANYONE,
    ("GET", "/health/deep"): L3,
    ("GET", "/openapi.json"): ANYONE,
    ("GET", "/docs"): ANYONE,
    ("POST", f"{API}/auth/login"): SIGNING_IN,
    ("POST", f"{API}/auth/refresh"): SIGNING_IN,
    ("POST", f"{API}/auth/logout"): L1,
    ("POST", f"{API}/auth/logout-all"): L1,
    ("POST", f"{API}/auth/password"): L1,
    ("POST", f"{API}/auth/reauth"): L1,
    ("GET", f"{API}/users/me"): L1,
    ("PATCH", f"{API}/users/me"): L1,
    ("GET", f"{API}/users"): L3,
    ("POST", f"{API}/users"): L3,
    ("GET", f"{API}/users/{{user_id}}"): L3,
    ("PATCH", f"{API}/users/{{user_id}}"): L3,
    ("DELETE", f"{API}/users/{{user_id}}"): L3,
    ("GET", f"{API}/tasks"): OWN_OR_L2,
    ("POST", f"{API}/tasks"): L2,
    ("GET", f"{API}/tasks/{{task_id}}"): OWN_OR_L2,
    ("PATCH", f"{API}/tasks/{{task_id}}"): OWN_OR_L2,
    ("DELETE", f"{API}/tasks/{{task_id}}"): L3,
    ("GET", f"{API}/tasks/{{task_id}}/history"): OWN_OR_L2,
    ("POST", f"{API}/tasks/{{task_id}}/start"): OWN_OR_L2,
    ("POST", f"{API}/tasks/{{task_id}}/pause"): OWN_OR_L2,
    ("POST", f"{API}/tasks/{{task_id}}/resume"): OWN_OR_L2,
    ("POST", f"{API}/tasks/{{task_id}}/finish"): OWN_OR_L2,
    ("POST", f"{API}/tasks/{{task_id}}/cancel"): L2,
    ("POST", f"{API}/tasks/{{task_id}}/assignments"): L2,
    ("DELETE", f"{API}/tasks/{{task_id}}/assignments/{{officer_id}}"): L2,
    ("GET", f"{API}/officers"): L2,
    ("GET", f"{API}/officers/nearest"): L2,
    ("POST", f"{API}/officers"): L3,
    ("GET", f"{API}/officers/{{officer_id}}"): OWN_OR_L2,
    ("PATCH", f"{API}/officers/{{officer_id}}"): L3,
    ("DELETE", f"{API}/officers/{{officer_id}}"): L3,
    ("PUT", f"{API}/officers/{{officer_id}}/availability"): OWN_OR_L2,
    ("POST", f"{API}/officers/{{officer_id}}/position"): OWN,
    ("GET", f"{API}/officers/{{officer_id}}/shifts"): OWN_OR_L2,
    ("POST", f"{API}/officers/{{officer_id}}/shifts"): L2,
    ("DELETE", f"{API}/officers/{{officer_id}}/shifts/{{shift_id}}"): L2,
    ("POST", f"{API}/tasks/emergency"): EMERGENCY,
    ("GET", f"{API}/privacy/consents"): L1,
    ("POST", f"{API}/privacy/consents"): L1,
    ("DELETE", f"{API}/privacy/consents/{{purpose}}"): L1,
    ("GET", f"{API}/map"): L2,
    ("GET", f"{API}/stats/users/{{user_id}}"): OWN_OR_L2,
    ("GET", f"{API}/stats/team"): L2,
    ("GET", f"{API}/stats/tasks"): L2,
    ("GET", f"{API}/catalogue"): L1,
    ("GET", f"{API}/admin/cache"): L3,
    ("DELETE", f"{API}/admin/cache"): L3,
    ("POST", f"{API}/notifications"): L2,
    ("GET", f"{API}/admin/ws"): L3,
    ("GET", f"{API}/audit/events"): L3,
    ("GET", f"{API}/audit/events.csv"): Rule(Level.ADMINISTRATOR, rate=RateClass.EXPORT),
    ("GET", f"{API}/audit/verify"): L3,
}

# Left out where they must not exist; then they are 404, not forbidden.
OPTIONAL = frozenset({("GET", "/openapi.json"), ("GET", "/docs")})


@dataclass(frozen=True)
class Caller:
    """The verified caller of the route being served, and what the route's rule leaves them."""

    principal: Principal
    only_own: bool


def rate_of(method: str, path: str, rule: Rule) -> RateClass | None:
    """What a request counts as (product contract, section 5); None: not counted, as probes must not be."""
    if path.startswith("/health/"):
        return None
    if rule.rate is not None:
        return rule.rate
    if rule.level is None:
        return RateClass.ANONYMOUS
    if rule.level is Level.ADMINISTRATOR:
        return RateClass.ADMIN
    return RateClass.READ if method == "GET" else RateClass.WRITE


async def authenticate(authorization: str | None, sessions: Sessions) -> Principal:
    """Who is calling, by their Authorization header. Raises Problem: 401."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _refused("missing")
    try:
        return await sessions.verified(token.strip())
    except TokenRefused as refused:
        raise _refused(refused.reason) from None


def _refused(reason: str) -> Problem:
    metrics.auth_failures.labels(reason).inc()
    return Problem(Code.UNAUTHENTICATED, headers={"WWW-Authenticate": 'Bearer realm="gad"'})


class _JsonRequest(Request):
    """Reads bodies with orjson: quicker, and deep nesting, NaN and invalid UTF-8 are plain errors."""

    async def json(self) -> Any:
        """The body's value. Raises json.JSONDecodeError."""
        return orjson.loads(await self.body())


@dataclass(frozen=True)
class Gate:
    """One route as the guard sees it; `name` is "METHOD /path/{with}/names"."""

    name: str
    rule: Rule
    rate: RateClass | None


@dataclass(frozen=True)
class Guard:
    """What a request meets before anything of its route runs: 401, then 403, then its limit."""

    sessions: Sessions
    limits: Limits
    denials: Denials

    async def admit(self, scope: Scope, gate: Gate) -> Caller | None:
        """The caller; None on a route for anyone.

        Raises Problem. A refused token counts against the sender's address, so that a flood of them ends.
        """
        rule, rate = gate.rule, gate.rate
        if rule.level is None:
            if rate is not None:
                await self.limits.spend(rate, address_of(scope))
            return None
        try:
            principal = await authenticate(_authorization(scope), self.sessions)
        except Problem as problem:
            if problem.status_code == Code.UNAUTHENTICATED.status:
                await self.limits.spend(RateClass.ANONYMOUS, address_of(scope))
            raise
        if principal.level < rule.level:
            metrics.auth_failures.labels("level").inc()
            await self.denied(scope, gate, principal, Code.FORBIDDEN)
            raise Problem(Code.FORBIDDEN)
        if rate is not None:
            await self.limits.spend(rate, principal.user)
        return Caller(principal, only_own=rule.own_below is not None and principal.level < rule.own_below)

    async def denied(self, scope: Scope, gate: Gate, principal: Principal | None, code: Code) -> None:
        """Audit a 403, whoever decided it."""
        user = principal.user if principal is not None else None
        await self.denials.note(user, gate.name, code.value, scope.get("path_params", {}))


def _authorization(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value, "latin-1")
    return None


class GuardedRoute(APIRoute):
    """A route that asks the table before anything else of it runs."""

    @cached_property
    def gate(self) -> Gate:
        """What stands before it; a route outside the table never starts, and is closed even then."""
        method = min(self.methods or {"GET"})
        rule = RULES.get((method, self.path), L3)
        return Gate(f"{method} {self.path}", rule, rate_of(method, self.path, rule))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler behind the guard."""
        handle = super().get_route_handler()
        gate = self.gate

        async def guarded(request: Request) -> Response:
            guard: Guard = request.app.state.guard
            scope = request.scope
            caller = request.state.caller = await guard.admit(scope, gate)
            try:
                return await handle(_JsonRequest(scope, request.receive))
            except Problem as problem:
                if problem.status_code == Code.FORBIDDEN.status:
                    await guard.denied(scope, gate, caller.principal if caller else None, problem.code)
                raise

        return guarded


def verify(routes: Iterable[tuple[str, str, bool]]) -> None:
    """Compare the table with (method, path, is guarded) of every route. Raises StartError on any gap."""
    found = {(method, path): guarded for method, path, guarded in routes}
    missing = sorted(found.keys() - RULES.keys())
    stale = sorted(RULES.keys() - found.keys() - OPTIONAL)
    open_doors = sorted(
        key for key, guarded in found.items() if not guarded and RULES.get(key, L3).level is not None
    )
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
