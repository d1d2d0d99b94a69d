"""Reads that are called directly, past the framework's layers: about half of such a request's processor time.

Marked is a GET whose function takes uuids out of the path, what the query says, `Authorized`, and the stores
of the process. What the query says depends on nothing else, so it is read once: people ask for the same lists
again and again. Reading it is the framework's own work, and whatever it would refuse is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any, TypeVar, get_type_hints
from uuid import UUID

from fastapi.dependencies.utils import request_params_to_args
from starlette.datastructures import QueryParams
from starlette.responses import Response

from app.errors import StartError
from app.guard import Authorized, Caller, GuardedRoute

KEPT = 256  # chosen: queries of one route that are remembered
LONGEST = 200  # bytes, chosen: a longer query is seldom asked twice, and remembering it would cost memory
PARAMETER = re.compile(r"\{([a-z_]+)\}")
_UUID_LENGTH = 36

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])
_HOT: set[Callable[..., Any]] = set()


def hot(endpoint: Endpoint) -> Endpoint:
    """Marks the function of a GET: it is called directly when all is usual."""
    _HOT.add(endpoint)
    return endpoint


def is_hot(route: GuardedRoute) -> bool:
    """Whether its function is marked."""
    return route.endpoint in _HOT


class HotRead:
    """How a marked function is called. `stores`: what the process gives, by the kind that asks for it."""

    def __init__(self, route: GuardedRoute, stores: Sequence[tuple[object, object]]) -> None:
        """Raises StartError if the function takes anything that only the framework can give."""
        self.route = route
        hints: Mapping[str, Any] = get_type_hints(route.endpoint, include_extras=True)
        kinds = {name: hint for name, hint in hints.items() if name != "return"}
        self._uuids = tuple(PARAMETER.findall(route.path))
        self._caller = next((name for name, kind in kinds.items() if kind == Authorized), None)
        self._given = {name: store for name, kind in kinds.items() for of, store in stores if kind == of}
        fields = route.dependant.query_params
        known = {*self._uuids, *self._given, *(field.name for field in fields)} | {self._caller}
        if (
            route.methods != {"GET"}
            or not iscoroutinefunction(route.endpoint)
            or not known >= kinds.keys() >= set(self._uuids)
            or any(kinds[name] != UUID for name in self._uuids)
        ):
            raise StartError(
                f"GET {route.path} is marked hot and takes more than uuids, a query, its caller and stores",
                remedy="leave the mark out, see app/hot.py",
            )

        def read(query: bytes) -> dict[str, Any] | None:
            values, errors = request_params_to_args(fields, QueryParams(query))
            return None if errors else values

        self._read = read
        self._remembered = lru_cache(maxsize=KEPT)(read)

    def arguments(self, path: Mapping[str, str], query: bytes) -> dict[str, Any] | None:
        """By the function's own names, all but the caller; None: something is not usual."""
        found: dict[str, Any] = dict(self._given)
        for name in self._uuids:
            uuid = _uuid(path[name])
            if uuid is None:
                return None
            found[name] = uuid
        asked = self._remembered(query) if len(query) <= LONGEST else self._read(query)
        return None if asked is None else found | asked

    async def answer(self, arguments: dict[str, Any], caller: Caller | None) -> Response:
        """Call the function. Raises what it raises."""
        if self._caller is not None:
            arguments[self._caller] = caller
        response: Response = await self.route.endpoint(**arguments)
        return response


def _uuid(text: str) -> UUID | None:
    """In its usual form; whether another one is well or not, the framework says."""
    try:
        return UUID(text) if len(text) == _UUID_LENGTH else None
    except ValueError:
        return None
