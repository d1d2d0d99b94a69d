"""For schemathesis, which loads this file by SCHEMATHESIS_HOOKS: every other request is about what exists.

Random ids would only ever find 404, random versions be stale, random places be far from everybody. The other
half is sent as it was generated.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import defaultdict
from collections.abc import Iterator, MutableMapping
from typing import Any
from uuid import UUID

import schemathesis

KNOWN: dict[str, list[str]] = json.loads(os.environ["GAD_FUZZ_IDS"])
SELF = UUID(os.environ["GAD_FUZZ_SELF"])  # the account that calls
NEAR = {"lat": -0.2, "lon": -78.5}
BOX = ("south", "west", "north", "east")
# What databases, encodings and screens stumble over; random text holds it too seldom.
AWKWARD = ("\x00", "Ñandú \U0001f6a8", "\u202enerevni", "e\u0301" * 3, "'; --", "%_\\", "\ufffe")

_calls: dict[str, Iterator[int]] = defaultdict(itertools.count)


def is_id(value: object) -> bool:
    """Whether it is a uuid; what is none stays wrong."""
    try:
        return bool(UUID(str(value)))
    except ValueError:
        return False


def spare_self(case: Any, number: int) -> None:
    """An administrator who finds their own account would end their session, and all after it be 401."""
    found = (case.path_parameters or {}).get("user_id")
    if case.method != "GET" and is_id(found) and UUID(str(found)) == SELF:
        case.path_parameters["user_id"] = KNOWN["user_id"][-1 - number % 2]


def replace(values: object, names: dict[str, str], number: int) -> None:
    """Put existing ids where ids are: of `names`, what each is an id of."""
    if not isinstance(values, MutableMapping):
        return
    for name, noun in names.items():
        if is_id(values.get(name)) and KNOWN.get(noun):
            values[name] = KNOWN[noun][number // 2 % len(KNOWN[noun])]


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Called with each request just before it is sent."""
    number = next(_calls[case.operation.label])
    spare_self(case, number)
    if number % 2:
        return
    own = case.operation.label == "POST /api/v1/officers/{officer_id}/position"
    names = {name: name for name in KNOWN} | ({"officer_id": "own_officer"} if own else {})
    replace(case.path_parameters, names, number)
    replace(case.body, {"officer": "spare_officer", "delegate": "user_id", "user": "user_id"}, number)
    for name in case.headers or {}:
        if name.lower() == "if-match":
            case.headers[name] = "*"
    if case.operation.path == "/api/v1/map" and isinstance(case.query, MutableMapping):
        case.query = {k: v for k, v in case.query.items() if k not in BOX} | NEAR
    if isinstance(case.body, MutableMapping):
        adjust(case.operation.label, case.body, number)
    if number % 4 == 2:
        disturb(case.body, number // 4)
        disturb(case.query, number // 4)


def disturb(values: object, number: int) -> None:
    """Append awkward text to one text; the rest stays as it is, so that it gets far."""
    if not isinstance(values, MutableMapping):
        return
    texts = [name for name, value in values.items() if isinstance(value, str) and not is_id(value)]
    if texts:
        values[texts[number % len(texts)]] += AWKWARD[number // len(texts) % len(AWKWARD)]


def adjust(label: str, body: MutableMapping[str, Any], number: int) -> None:
    """Values that must be unlike others', or near somebody."""
    match label:
        case "POST /api/v1/users" if is_text(body, "email", "dni"):
            body |= {"email": f"azar.{number}@distrito.example", "dni": f"AZAR{number:06d}"}
        case "POST /api/v1/tasks/emergency" if isinstance(body.get("lat"), float):
            body |= NEAR
        case "POST /api/v1/officers/{officer_id}/position" if is_text(body, "at"):
            body |= {"at": "2026-03-01T12:00:00Z"}


def is_text(body: MutableMapping[str, Any], *names: str) -> bool:
    """Whether all of them are there and text; what is wrong stays wrong."""
    return all(isinstance(body.get(name), str) for name in names)
