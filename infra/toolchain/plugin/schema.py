"""The data table of a resource type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .properties import Value

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


def join(path: str, key: str) -> str:
    """The property path of `key` under `path`, as the engine writes it: `a.b`, `a["b-c"]`."""
    if not re.fullmatch(r"[A-Za-z_$][\w$]*", key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key
