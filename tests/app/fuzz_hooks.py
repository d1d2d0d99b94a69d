"""For schemathesis, which loads this file by SCHEMATHESIS_HOOKS: half of all ids are of things that exist.

Random ids would only ever find 404.
"""

from __future__ import annotations

import json
import os
from typing import Any
from uuid import UUID

import schemathesis

KNOWN: dict[str, list[str]] = json.loads(os.environ["GAD_FUZZ_IDS"])


def known(name: str, value: Any) -> Any:
    """The value, or an existing id chosen by it, so that the same run asks for the same things."""
    try:
        number = UUID(value).int
    except (ValueError, TypeError, AttributeError):
        return value  # what is no id stays wrong
    choices = KNOWN.get(name, [])
    return choices[number // 2 % len(choices)] if choices and number % 2 else value


@schemathesis.hook
def map_path_parameters(_context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Called with what was generated for the names in a path."""
    return {name: known(name, value) for name, value in (path_parameters or {}).items()}


@schemathesis.hook
def map_headers(_context: Any, headers: dict[str, Any] | None) -> dict[str, Any] | None:
    """Random versions would only ever be stale; a wrong header stays wrong."""
    found = dict(headers or {})
    for name, value in found.items():
        if name.lower() == "if-match" and isinstance(value, str) and len(value) % 2:
            found[name] = "*"
    return found
