"""From a path to its route in a few look-ups, and from a hot read straight to its function.

The framework tries one pattern after the other, and included routers twice: with all routes that costs more
than answering. Here each path is a walk through its segments. What is not found so (no such path, another
method, redirects) goes the framework's own way, so that every refusal stays its own.

A read that is marked `hot` (app/hot.py) also leaves out the framework's dependency solving and its layers of
handlers: guard, function, answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.errors import Code, Problem, problem_response
from app.guard import Caller, Guard, GuardedRoute
from app.hot import PARAMETER, HotRead, is_hot
from app.limits import RateClass, address_of

_FOUND = "gad.found"  # in the scope: (route, path parameters)


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
            match = PARAMETER.fullmatch(segment)
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


class Shortcut:
    """Wraps an application whose routes are all there. `stores`: what hot reads may ask for, by its kind."""

    def __init__(self, api: FastAPI, *, guard: Guard, stores: Sequence[tuple[object, object]]) -> None:
        self._api = api
        self._guard = guard
        self._paths = Paths(api)
        self._reads: dict[Callable[..., Any], HotRead] = {}
        for context in iter_route_contexts(api.routes):
            route = context.original_route
            if isinstance(route, GuardedRoute) and is_hot(route):
                self._reads[route.endpoint] = HotRead(route, stores)
        # Behind the framework's handlers of exceptions, where its own router would begin to search.
        api.router.middleware_stack = self._routed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        found = self._paths.find(scope["method"], scope["path"])
        if found is not None:
            read = self._reads.get(found[0].endpoint)
            asked = read.arguments(found[1], scope["query_string"]) if read is not None else None
            if read is not None and asked is not None:
                scope["route"], scope["path_params"] = found
                response = await self._answer(scope, read, asked)
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

    async def _answer(self, scope: Scope, read: HotRead, asked: dict[str, Any]) -> Response:
        route, guard = read.route, self._guard
        caller: Caller | None = None
        try:
            caller = await guard.admit(scope, route.gate)
            return await read.answer(asked, caller)
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
