"""What a change of inputs means: which property paths differ, and whether that replaces the resource."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from .properties import Archive, Asset, Properties, Unknown, Value
from .schema import DEFAULTS, Property, join


class Kind(Enum):
    """What happens to one property path."""

    ADD = "add"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class Change:
    """From what the engine has recorded to what the program asks for."""

    old_inputs: Properties
    state: Properties
    new_inputs: Properties


@dataclass(frozen=True, kw_only=True)
class Diff:
    """`paths` says what differs; those in `replaces` cannot be changed on the living resource."""

    paths: Mapping[str, Kind] = field(default_factory=dict)
    replaces: frozenset[str] = frozenset()
    delete_before_replace: bool = False
    names_replace_keys: bool = True  # False: only the kinds of the paths say that they replace

    @property
    def keys(self) -> tuple[str, ...]:
        """The top-level properties that differ, sorted."""
        return tuple(sorted({top(path) for path in self.paths}))

    @property
    def replace_keys(self) -> tuple[str, ...]:
        """The top-level properties that force a replacement, sorted."""
        return tuple(sorted({top(path) for path in self.replaces}))

    def ignoring(self, ignored: Iterable[str]) -> Diff:
        """Without the paths at or below `ignored` (`ignoreChanges`), whatever made them differ.

        The engine puts the old inputs back before it asks; a state that drifted differs all the same.
        """
        dropped = tuple(ignored)
        kept = {path: kind for path, kind in self.paths.items() if not _is_under(path, dropped)}
        return replace(self, paths=kept, replaces=self.replaces & {*kept})


def _is_under(path: str, parents: tuple[str, ...]) -> bool:
    return any(each in ("*", path) or path.startswith((f"{each}.", f"{each}[")) for each in parents)


def top(path: str) -> str:
    """The top-level property of a path: `labels` of `labels[0].value`."""
    return path.split("[", maxsplit=1)[0].split(".", maxsplit=1)[0]


def diff_properties(
    properties: Mapping[str, Property], change: Change, *, delete_before_replace: bool = False
) -> Diff:
    """Compare the recorded state with the new inputs, by the table.

    An input that is missing and computed keeps what the state says. Empty collections and zero scalars count
    as missing. A collection that nobody wrote before and the program writes now differs as a whole.
    """
    found: dict[str, Kind] = {}
    replaces: set[str] = set()
    for key, prop in sorted(properties.items()):
        for path, kind, forces in _top(prop, key, change):
            found[path] = kind
            if forces:
                replaces.add(path)
    return Diff(paths=found, replaces=frozenset(replaces), delete_before_replace=delete_before_replace)


_Found = Iterator[tuple[str, Kind, bool]]


def _top(prop: Property, key: str, change: Change) -> _Found:
    new, old = change.new_inputs.get(key), change.state.get(key)
    if new is None:
        if key not in change.state and prop.unread:
            yield key, Kind.ADD, prop.replaces
        if prop.output or prop.computed:
            return
    elif (
        prop.computed and key not in change.old_inputs and isinstance(old, (list, dict)) and _clean(prop, old)
    ):
        if _clean(prop, old) != _clean(prop, new):
            yield key, Kind.UPDATE, prop.replaces
        return
    yield from _compare(prop, old, new, key, prop.replaces)


def _compare(prop: Property, old: Value, new: Value, path: str, replaces: bool) -> _Found:
    replaces = replaces or prop.replaces
    if isinstance(new, Unknown):
        yield path, Kind.ADD if _is_empty(prop, old) else Kind.UPDATE, replaces
        return
    if new is None and prop.zero is not None:
        new = prop.zero
        old = prop.zero if old is None else old
    was, now = _clean(prop, old), _clean(prop, new)
    if was == now:
        return
    if new is None or (now is None and isinstance(new, (list, dict))):
        yield path, Kind.DELETE, replaces
    elif old is None or (was is None and isinstance(old, (list, dict))):
        yield path, Kind.ADD, replaces
    else:
        yield from _inside(prop, old, new, path, replaces)


def _inside(prop: Property, old: Value, new: Value, path: str, replaces: bool) -> _Found:
    """Both sides are there and differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new} - {DEFAULTS}):
            child = prop.fields.get(key) if prop.type == "object" else prop.of
            if child is None:
                continue
            if key not in new and child.computed:
                continue
            yield from _compare(child, old.get(key), new.get(key), join(path, key), replaces)
    elif isinstance(old, list) and isinstance(new, list) and prop.of is not None:
        olds, news = dict(enumerate(old)), dict(enumerate(new))
        if prop.type == "set":
            olds, news = _unmatched(prop.of, olds, news)
        for index in sorted({*olds, *news}):
            pair = (olds.get(index), news.get(index))
            yield from _element(prop.of, pair, f"{path}[{index}]", replaces)
    else:
        yield path, Kind.UPDATE, replaces


def _element(of: Property, pair: tuple[Value, Value], where: str, replaces: bool) -> _Found:
    old, new = pair
    if old is None:
        yield where, Kind.ADD, replaces
    elif new is None:
        yield where, Kind.DELETE, replaces
    elif isinstance(new, Unknown):
        yield where, Kind.UPDATE, replaces
    elif of.type == "object":
        yield from _compare(of, old, new, where, replaces)
    elif _normal(of, old) != _normal(of, new):
        yield where, Kind.UPDATE, replaces


def _unmatched(
    of: Property, olds: dict[int, Value], news: dict[int, Value]
) -> tuple[dict[int, Value], dict[int, Value]]:
    """The elements of two sets that have no equal on the other side, under the index they stand at."""
    left, right = dict(olds), dict(news)
    for index, value in news.items():
        wanted = _key(_clean(of, value))
        match = next((i for i, other in left.items() if _key(_clean(of, other)) == wanted), None)
        if match is not None:
            del left[match]
            del right[index]
    return left, right


def _key(value: Value) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _is_empty(prop: Property, value: Value) -> bool:
    return _clean(prop, value) is None


def _clean(prop: Property, value: Value) -> Value:
    """The value in its one spelling, None for whatever counts as missing."""
    if prop.normal is not None and value is not None and not isinstance(value, Unknown):
        value = prop.normal(value)
    if isinstance(value, dict):
        fields: Properties = {}
        for key, item in value.items():
            child = prop.fields.get(key) if prop.type == "object" else prop.of
            if key == DEFAULTS or child is None:
                continue
            cleaned = _clean(child, item) if prop.type == "object" else item
            if cleaned is not None:
                fields[key] = cleaned
        return fields or None
    if isinstance(value, list):
        of = prop.of
        items = [item if of is None else _normal(of, item) for item in value]
        return (sorted(items, key=_key) if prop.type == "set" else items) or None
    if isinstance(value, (Asset, Archive)):
        return value.hash or repr(value)
    if isinstance(value, bool) and prop.zero is not None:
        return value
    return value if value not in (None, False, 0, "") else None


def _normal(of: Property, item: Value) -> Value:
    """One element: an empty text in a list is an element all the same."""
    if of.type in ("object", "list", "set", "map"):
        return _clean(of, item)
    return of.normal(item) if of.normal is not None and not isinstance(item, Unknown) else item
