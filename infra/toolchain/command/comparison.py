"""Which inputs differ, as the official provider says it: old inputs against new ones, value by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from infra.toolchain.plugin import Archive, Asset, Diff, Kind, Value
from infra.toolchain.plugin.properties import Path
from infra.toolchain.plugin.schema import join


def compare_inputs(
    old: Mapping[str, Value], new: Mapping[str, Value], *, secrets: Set[Path], replaces: Set[str]
) -> Diff:
    """The difference. A secret is compared as a whole: where inside it differs is nobody's business."""
    found: dict[str, Kind] = {}
    replacing: set[str] = set()
    for key in sorted({*old, *new}):
        # The engine's own: the version of the plugin, names of defaults.
        if key == "version" or key.startswith("__"):
            continue
        for path, kind in _differences(old.get(key), new.get(key), key, (key,), secrets):
            found[path] = kind
            if key in replaces:
                replacing.add(path)
    return Diff(paths=found, replaces=frozenset(replacing), names_replace_keys=False)


def _differences(
    old: Value, new: Value, path: str, steps: Path, secrets: Set[Path]
) -> Iterator[tuple[str, Kind]]:
    if _same(old, new):
        return
    if old is None:
        yield path, Kind.ADD
    elif new is None:
        yield path, Kind.DELETE
    elif steps in secrets:
        yield path, Kind.UPDATE
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(old.get(key), new.get(key), join(path, key), (*steps, key), secrets)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from _differences(before, after, f"{path}[{index}]", (*steps, index), secrets)
    else:
        yield path, Kind.UPDATE


def _same(old: Value, new: Value) -> bool:
    if isinstance(old, Asset | Archive) and isinstance(new, Asset | Archive) and old.hash and new.hash:
        return type(old) is type(new) and old.hash == new.hash
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    # 1 == True in Python, but not in a trigger.
    return type(old) is type(new) and old == new
