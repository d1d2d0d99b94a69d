"""The one catalogue of texts for people, `es.toml`. Keys are dotted paths of its tables."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files


def _flatten(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


TEXTS: Mapping[str, str] = dict(
    _flatten(tomllib.loads(files(__package__).joinpath("es.toml").read_text(encoding="utf-8")))
)


def text(key: str, **values: object) -> str:
    """The Spanish text under `key` with its `{names}` filled in. KeyError: the catalogue lacks the key."""
    return TEXTS[key].format(**values)
