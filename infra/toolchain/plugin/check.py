"""The check of a program's inputs against the table."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from .properties import Archive, Asset, Properties, Unknown, Value
from .schema import DEFAULTS, Property, Type, join


@dataclass(frozen=True)
class Problem:
    """Why an input cannot be taken, and where it stands."""

    path: str
    reason: str


@dataclass(frozen=True)
class CheckedProperties:
    """Inputs with their types settled and defaults filled in, and what is wrong with them."""

    inputs: Properties
    problems: tuple[Problem, ...]


def check_properties(
    properties: Mapping[str, Property], news: Mapping[str, Value], *, of: str, defaults: bool = True
) -> CheckedProperties:
    """Check `news`, the inputs of a `of` (for the text), against the table; unknown values pass."""
    check = _Check(of, defaults)
    inputs = check.fields(properties, news, "")
    return CheckedProperties(inputs, tuple(check.problems))


class _Check:
    """One walk over the inputs of a resource, collecting what is wrong."""

    def __init__(self, of: str, defaults: bool) -> None:
        self.of = of
        self.defaults = defaults
        self.problems: list[Problem] = []

    def fields(self, properties: Mapping[str, Property], news: Mapping[str, Value], path: str) -> Properties:
        inputs: Properties = {}
        known = {name: prop for name, prop in properties.items() if not prop.output}
        for key, value in news.items():
            if key == DEFAULTS or value is None:
                continue
            where = join(path, key)
            prop = known.get(key)
            if prop is None:
                near = difflib.get_close_matches(key, known, n=1)
                self._refuse(where, f"is unknown{f', did you mean {near[0]}?' if near else ''}")
            elif prop.refused is None:
                inputs[key] = self._value(prop, value, where)
            elif value not in (False, 0, "", [], {}):
                self._refuse(where, f"is not supported by the offline provider: {prop.refused}")
        for key, prop in known.items():
            if prop.required and key not in inputs:
                self._refuse(join(path, key), "is missing")
        if self.defaults:
            filled = {k: p.default for k, p in known.items() if p.default is not None and k not in inputs}
            inputs |= filled
            inputs[DEFAULTS] = [*sorted(filled)]
        return inputs

    def _value(self, prop: Property, value: Value, path: str) -> Value:
        if isinstance(value, Unknown) or prop.type == "any":
            return value
        if prop.type in ("list", "set") and prop.of is not None and isinstance(value, list):
            return [self._value(prop.of, each, f"{path}[{index}]") for index, each in enumerate(value)]
        if prop.type == "map" and prop.of is not None and isinstance(value, dict):
            item = prop.of
            return {k: self._value(item, v, join(path, k)) for k, v in value.items() if k != DEFAULTS}
        if prop.type == "object" and isinstance(value, dict):
            return self.fields(prop.fields, value, path)
        if prop.type == "asset" and isinstance(value, (Asset, Archive)):
            return value
        settled = _settle(prop.type, value)
        if settled is None:
            self._refuse(path, f"must be {_ARTICLES[prop.type]}, not {_name(value)}")
        return settled

    def _refuse(self, path: str, why: str) -> None:
        self.problems.append(Problem(path, f"{path} of {self.of} {why}"))


_ARTICLES: Mapping[str, str] = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "a boolean",
    "list": "a list",
    "set": "a list",
    "map": "a map",
    "object": "an object",
    "asset": "an asset or archive",
}


def _name(value: Value) -> str:
    # The kind and never the value: it may be a secret.
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else "a file"


def _settle(kind: Type, value: Value) -> Value:
    """The scalar as `kind`; numbers and truth values may come as texts, as from stack configuration."""
    if kind == "string":
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, (str, int, float)) else None
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        return {"true": True, "false": False}.get(value) if isinstance(value, str) else None
    if kind in ("integer", "number") and not isinstance(value, bool):
        return _number(value, whole=kind == "integer")
    return None


def _number(value: Value, *, whole: bool) -> Value:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, (int, float)):
        return None
    if float(value).is_integer():
        return int(value)
    return None if whole else value
