"""What stands before every route: who is calling, whether app/policy.py lets them, and their limit.

It runs before the body is read, so that a stranger learns nothing but 401.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
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
from app.errors import Code, Problem
from app.limits import Limits, RateClass, address_of
from app.policy import L3, RULES, Rule, rate_of


@dataclass(frozen=True)
class Caller:
    """The verified caller of the route being served, and what the route's rule leaves them."""

    principal: Principal
    only_own: bool


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


async def _caller(request: Request) -> Caller:
    caller = request.state.caller
    if not isinstance(caller, Caller):
        raise Problem(Code.UNAUTHENTICATED)
    return caller


Authorized = Annotated[Caller, Depends(_caller)]
