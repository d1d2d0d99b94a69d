"""Path globs of `assetPaths` and `archivePaths`: what a command left behind.

`*` and `?` stop at a slash, `**` does not; `[a-z]`, `[!a-z]` and `{a,b}` as usual; a leading `!` takes away
again what earlier patterns found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.errors import GadError

_PIECE = re.compile(r"\*\*|\*|\?|\[!?[^\]]+\]|\\.|.", re.DOTALL)


def compile_glob(glob: str) -> re.Pattern[str]:
    """The glob as a regular expression for a whole relative path. Raises GadError for an open brace."""
    parts: list[str] = []
    depth = 0
    for piece in _PIECE.findall(glob):
        if piece == "{":
            depth += 1
            parts.append("(?:")
        elif piece == "}" and depth:
            depth -= 1
            parts.append(")")
        elif piece == "," and depth:
            parts.append("|")
        else:
            parts.append(_translate(piece))
    if depth:
        raise GadError(f"the path glob {glob!r} has an unclosed brace", remedy="close it")
    return re.compile("".join(parts), re.DOTALL)


def _translate(piece: str) -> str:
    simple = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    if piece in simple:
        return simple[piece]
    if piece.startswith("[") and len(piece) > 1:
        inner = piece[1:-1]
        return f"[^{re.escape(inner[1:])}]".replace(r"\-", "-") if inner[0] == "!" else f"[{inner}]"
    return re.escape(piece[1:] if len(piece) > 1 and piece[0] == "\\" else piece)


def select(paths: Sequence[str], globs: Sequence[str]) -> list[str]:
    """Those of `paths` (relative, with slashes) that the globs, taken in order, leave selected."""
    rules = [(not glob.startswith("!"), compile_glob(glob.removeprefix("!"))) for glob in globs]
    return [path for path in paths if _verdict(path, rules)]


def _verdict(path: str, rules: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    verdict = False
    for includes, pattern in rules:
        if pattern.fullmatch(path):
            verdict = includes
    return verdict


def find_files(folder: Path, globs: Sequence[str]) -> list[str]:
    """The files below `folder` that the globs select, relative to it, sorted."""
    return select(sorted(_files(folder)), globs)


def _files(folder: Path) -> Iterator[str]:
    for here, _, names in os.walk(folder):
        for name in names:
            yield (Path(here) / name).relative_to(folder).as_posix()
