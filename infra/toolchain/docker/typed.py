"""Typed looks into a checked property map: a missing value is the empty one of its type."""

from __future__ import annotations

from collections.abc import Mapping

from infra.toolchain.plugin import Properties, Value


def text(values: Mapping[str, Value], key: str) -> str:
    """A string, "" when missing."""
    value = values.get(key)
    return value if isinstance(value, str) else ""


def number(values: Mapping[str, Value], key: str) -> int:
    """A whole number, 0 when missing."""
    value = values.get(key)
    return value if isinstance(value, int) else 0


def flag(values: Mapping[str, Value], key: str) -> bool:
    """A truth value, False when missing."""
    return values.get(key) is True


def texts(values: Mapping[str, Value], key: str) -> list[str]:
    """A list of strings."""
    value = values.get(key)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def words(values: Mapping[str, Value], key: str) -> dict[str, str]:
    """A map of strings."""
    value = values.get(key)
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}


def objects(values: Mapping[str, Value], key: str) -> list[Properties]:
    """A list of objects."""
    value = values.get(key)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
