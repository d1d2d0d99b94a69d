"""daemon.json as a whole file, from controls. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from infra.host.controls import Scalar, Value, Values


def daemon_json(values: Values) -> str:
    """The daemon's configuration. A key whose value is an empty text is left out: off has no word of its own.

    Raises ValueError for a limit that is not two numbers.
    """
    keys = {key: _value(key, value) for key, value in values.under("daemon_json").items() if value != ""}
    return json.dumps(keys, indent=2) + "\n"


def _value(key: str, value: Value) -> object:
    if key == "default-ulimits" and isinstance(value, Mapping):
        return {name: _limit(name, pair) for name, pair in value.items()}
    if isinstance(value, Mapping):
        return {name: list(each) if isinstance(each, tuple) else each for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _limit(name: str, pair: Scalar | tuple[Scalar, ...]) -> dict[str, Scalar]:
    """Soft and hard limit, in the daemon's words."""
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise ValueError(f"daemon_json.default-ulimits: {name} is {pair!r}, wanted are soft and hard limit")
    return {"Name": name, "Soft": pair[0], "Hard": pair[1]}
