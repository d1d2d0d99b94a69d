"""The data table of a resource type, and the check of a program's inputs against it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .properties import Archive, Asset, Properties, Unknown, Value

DEFAULTS = "__defaults"  # where the engine's state keeps the names of the inputs that nobody wrote

Type = Literal["string", "integer", "number", "boolean", "list", "set", "map", "object", "asset", "any"]
Normal = Callable[[Value], Value]


@dataclass(frozen=True, kw_only=True)
class Property:
    """One input or output.

    `default` is written into the inputs and named in `__defaults`; `zero` is what the provider takes for a
    missing input without writing it anywhere, so removing the input is an update and not a deletion.
    `computed`: an input that is left out keeps the value the engine reported. `output`: never an input.
    `unread`: a state that was never read back lacks it, and the plan then says it will be added.
    `normal` maps spellings of the same value to one; `refused` says why the property cannot be used.
    """

    type: Type
    of: Property | None = None
    fields: Mapping[str, Property] = field(default_factory=dict)
    required: bool = False
    default: Value = None
    zero: Value = None
    computed: bool = False
    output: bool = False
    replaces: bool = False
    unread: bool = False
    normal: Normal | None = None
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What there is to know about one type token without touching the world."""

    token: str
    properties: Mapping[str, Property]


def string(
    *,
    required: bool = False,
    replaces: bool = False,
    computed: bool = False,
    output: bool = False,
    default: str | None = None,
    zero: str | None = None,
    normal: Normal | None = None,
    refused: str | None = None,
) -> Property:
    """A text."""
    return Property(
        type="string",
        required=required,
        replaces=replaces,
        computed=computed,
        output=output,
        default=default,
        zero=zero,
        normal=normal,
        refused=refused,
    )


def integer(
    *,
    required: bool = False,
    replaces: bool = False,
    computed: bool = False,
    output: bool = False,
    default: int | None = None,
    refused: str | None = None,
) -> Property:
    """A whole number."""
    return Property(
        type="integer",
        required=required,
        replaces=replaces,
        computed=computed,
        output=output,
        default=default,
        refused=refused,
    )


def boolean(
    *,
    replaces: bool = False,
    computed: bool = False,
    output: bool = False,
    default: bool | None = None,
    zero: bool | None = None,
    refused: str | None = None,
) -> Property:
    """A truth value."""
    return Property(
        type="boolean",
        replaces=replaces,
        computed=computed,
        output=output,
        default=default,
        zero=zero,
        refused=refused,
    )


def listing(
    of: Property,
    *,
    required: bool = False,
    replaces: bool = False,
    computed: bool = False,
    output: bool = False,
    unread: bool = False,
    refused: str | None = None,
) -> Property:
    """A list whose order matters."""
    return Property(
        type="list",
        of=of,
        required=required,
        replaces=replaces,
        computed=computed,
        output=output,
        unread=unread,
        refused=refused,
    )


def setting(
    of: Property,
    *,
    replaces: bool = False,
    computed: bool = False,
    output: bool = False,
    refused: str | None = None,
) -> Property:
    """A list whose order does not matter."""
    return Property(type="set", of=of, replaces=replaces, computed=computed, output=output, refused=refused)


def mapping(
    of: Property,
    *,
    replaces: bool = False,
    computed: bool = False,
    output: bool = False,
    refused: str | None = None,
) -> Property:
    """Free keys, values of one type."""
    return Property(type="map", of=of, replaces=replaces, computed=computed, output=output, refused=refused)


def obj(
    fields: Mapping[str, Property],
    *,
    required: bool = False,
    replaces: bool = False,
    computed: bool = False,
    refused: str | None = None,
) -> Property:
    """Fixed keys."""
    return Property(
        type="object",
        fields=fields,
        required=required,
        replaces=replaces,
        computed=computed,
        refused=refused,
    )


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


def join(path: str, key: str) -> str:
    """The property path of `key` under `path`, as the engine writes it: `a.b`, `a["b-c"]`."""
    if not re.fullmatch(r"[A-Za-z_$][\w$]*", key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


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
