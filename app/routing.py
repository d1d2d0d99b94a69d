"""From a path to its route in a few look-ups, and from a hot read straight to its function.

The framework tries one pattern after the other, and included routers twice: with all routes that costs more
than answering. Here each path is a walk through its segments. What is not found so (no such path, another
method, redirects) goes the framework's own way, so that every refusal stays its own.

A read that is marked `hot` also leaves out the framework's dependency solving and its layers of handlers,
about a third of a request's processor time: guard, function, answer. Its function takes nothing but one uuid
out of the path, `Authorized` and `Db`; a path whose uuid is none goes the framework's way too.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any, TypeVar, get_type_hints
from uuid import UUID

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.db import Database, Db
from app.errors import Code, Problem, StartError, problem_response
from app.guard import Authorized, Caller, Guard, GuardedRoute
from app.limits import RateClass, address_of

_FOUND = "gad.found"  # in the scope: (route, path parameters)
_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_UUID_LENGTH = 36

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])
_HOT: set[Callable[..., Any]] = set()


def hot(endpoint: Endpoint) -> Endpoint:
    """Marks the function of a GET on one thing by its uuid: it is called directly when all is usual."""
    _HOT.add(endpoint)
    return endpoint


@dataclass
class _Node:
    """What follows one segment: further segments, and the route of each method that ends here."""

    words: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    routes: dict[str, tuple[APIRoute, tuple[str, ...]]] = field(default_factory=dict)


class Paths:
    """Every route of one application by its segments; a word goes before a parameter."""

    def __init__(self, api: FastAPI) -> None:
        self._root = _Node()
        for context in iter_route_contexts(api.routes):
            route = context.original_route
            # A path the route does not know itself, or a parameter over several segments: the framework's.
            if isinstance(route, APIRoute) and route.path == context.path and ":" not in route.path:
                self._add(route)

    def _add(self, route: APIRoute) -> None:
        node, names = self._root, []
        for segment in route.path.split("/")[1:]:
            match = _PARAMETER.fullmatch(segment)
            if match is None:
                node = node.words.setdefault(segment, _Node())
            else:
                names.append(match[1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
        for method in route.methods or ():
            node.routes.setdefault(method, (route, tuple(names)))

    def find(self, method: str, path: str) -> tuple[APIRoute, dict[str, str]] | None:
        """The route and its path parameters as they were sent; None: ask the framework."""
        node, values = self._root, []
        for segment in path.split("/")[1:]:
            after = node.words.get(segment)
            if after is None:
                if not segment or node.parameter is None:
                    return None
                values.append(segment)
                after = node.parameter
            node = after
        found = node.routes.get(method)
        return (found[0], dict(zip(found[1], values, strict=True))) if found is not None else None


@dataclass(frozen=True)
class _Read:
    """A hot read: how its function is called."""

    route: GuardedRoute
    call: Callable[..., Awaitable[Response]]
    uuid: str
    caller: str | None
    database: str | None

    def arguments(self, uuid: UUID, caller: Caller | None, database: Database) -> dict[str, Any]:
        """By the function's own names."""
        given: dict[str, Any] = {self.uuid: uuid}
        if self.caller is not None:
            given[self.caller] = caller
        if self.database is not None:
            given[self.database] = database
        return given


def _read_of(route: GuardedRoute) -> _Read:
    """Raises StartError if the function takes anything that only the framework can give."""
    hints: Mapping[str, Any] = get_type_hints(route.endpoint, include_extras=True)
    kinds = {name: hint for name, hint in hints.items() if name != "return"}
    by_kind = {kind: name for kind in (UUID, Authorized, Db) for name, hint in kinds.items() if hint == kind}
    in_path = _PARAMETER.findall(route.path)
    if (
        route.methods != {"GET"}
        or not iscoroutinefunction(route.endpoint)
        or len(by_kind) != len(kinds)
        or in_path != [by_kind.get(UUID)]
    ):
        raise StartError(
            f"GET {route.path} is marked hot and takes more than a uuid, its caller and the database",
            remedy="leave the mark out, see app/routing.py",
        )
    return _Read(route, route.endpoint, in_path[0], by_kind.get(Authorized), by_kind.get(Db))


class Shortcut:
    """Wraps an application whose routes are all there."""

    def __init__(self, api: FastAPI, *, guard: Guard, database: Database) -> None:
        self._api = api
        self._guard = guard
        self._database = database
        self._paths = Paths(api)
        self._reads: dict[Callable[..., Any], _Read] = {}
        for context in iter_route_contexts(api.routes):
            route = context.original_route
            if isinstance(route, GuardedRoute) and route.endpoint in _HOT:
                self._reads[route.endpoint] = _read_of(route)
        # Behind the framework's handlers of exceptions, where its own router would begin to search.
        api.router.middleware_stack = self._routed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        found = self._paths.find(scope["method"], scope["path"])
        if found is not None:
            read = self._reads.get(found[0].endpoint)
            uuid = _uuid(found[1][read.uuid]) if read is not None else None
            if read is not None and uuid is not None:
                scope["route"], scope["path_params"] = found
                response = await self._answer(scope, read, uuid)
                await response(scope, receive, send)
                return
            scope[_FOUND] = found
        else:
            # No route of the table, so no guard will count it: a page, the document, or a search for doors.
            try:
                await self._guard.limits.spend(RateClass.ANONYMOUS, address_of(scope))
            except Problem as problem:
                await _problem(problem)(scope, receive, send)
                return
        await self._api(scope, receive, send)

    async def _answer(self, scope: Scope, read: _Read, uuid: UUID) -> Response:
        route, guard = read.route, self._guard
        caller: Caller | None = None
        try:
            caller = await guard.admit(scope, route.gate)
            return await read.call(**read.arguments(uuid, caller, self._database))
        except Problem as problem:
            if caller is not None and problem.status_code == Code.FORBIDDEN.status:
                await guard.denied(scope, route.gate, caller.principal, problem.code)
            return _problem(problem)

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = scope.pop(_FOUND, None)
        if found is None:
            await self._api.router.app(scope, receive, send)
            return
        route, parameters = found
        scope["router"], scope["route"] = self._api.router, route
        scope["endpoint"], scope["path_params"] = route.endpoint, parameters
        await route.handle(scope, receive, send)


def _problem(problem: Problem) -> Response:
    return problem_response(problem.code, headers=problem.headers, errors=problem.errors)


def _uuid(text: str) -> UUID | None:
    """In its usual form; whether another one is well or not, the framework says."""
    try:
        return UUID(text) if len(text) == _UUID_LENGTH else None
    except ValueError:
        return None
