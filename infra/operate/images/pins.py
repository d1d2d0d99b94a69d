"""Writing digests into a stack file, touching no other line of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from infra.errors import Exit, GadError

KEY = "grupo-gad:images"


def pin(text: str, digests: Mapping[str, str], *, source: str) -> str:
    """`text` of a stack file with `digests` (image → name@sha256:…) under grupo-gad:images; pure.

    Comments, order and every other line stay. Raises GadError if the file has no such block, or if the result
    would not say what was wanted (a form of YAML that lines cannot follow).
    """
    lines = text.splitlines()
    start = next(
        (i for i, line in enumerate(lines) if re.match(rf"\s*['\"]?{KEY}['\"]?:\s*(#.*)?$", line)), None
    )
    if start is None:
        raise GadError(
            f"{source} has no block {KEY}",
            remedy=f"add `  {KEY}:` with `source: registry` below `config:`, then run it again",
            exit_code=Exit.USAGE,
        )
    end = _block_end(lines, start)
    block = lines[start + 1 : end]
    indent = next((_indent(line) for line in block if _is_content(line)), _indent(lines[start]) + 2)
    for name, digest in digests.items():
        pinned = f"{' ' * indent}{name}: {digest}"
        at = next(
            (i for i, line in enumerate(block) if re.match(rf"\s{{{indent}}}{re.escape(name)}:", line)), None
        )
        if at is None:
            last = max((i for i, line in enumerate(block) if _is_content(line)), default=-1)
            block.insert(last + 1, pinned)
        else:
            comment = re.search(r"\s+#.*$", block[at])
            block[at] = pinned + (comment.group() if comment else "")
    result = "\n".join([*lines[: start + 1], *block, *lines[end:]]) + "\n"
    _prove(text, result, digests, source)
    return result


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _block_end(lines: list[str], start: int) -> int:
    for i in range(start + 1, len(lines)):
        if _is_content(lines[i]) and _indent(lines[i]) <= _indent(lines[start]):
            return i
    return len(lines)


def _prove(before: str, after: str, digests: Mapping[str, str], source: str) -> None:
    try:
        wanted, found = yaml.safe_load(before), yaml.safe_load(after)
        wanted["config"][KEY] = {**(wanted["config"][KEY] or {}), **digests}
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise _unfollowed(source) from error
    if found != wanted:
        raise _unfollowed(source)


def _unfollowed(source: str) -> GadError:
    return GadError(
        f"{source} writes {KEY} in a form that cannot be edited line by line",
        remedy="write it as plain lines `name: digest`, one an image, then run it again",
        exit_code=Exit.USAGE,
    )
