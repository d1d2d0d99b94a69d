"""Search by parts of words: what a caller typed, as parameters of ILIKE."""

from __future__ import annotations

from collections.abc import Sequence


def contains(part: str) -> str:
    """The pattern of texts with `part` in them; its own signs mean themselves."""
    for special in ("\\", "%", "_"):
        part = part.replace(special, f"\\{special}")
    return f"%{part}%"


def parameters(words: Sequence[str]) -> dict[str, object]:
    """For a condition `q`: every pattern, and the longest, which finds its few candidates in an index.

    Empty without words: then there is no such condition.
    """
    if not words:
        return {}
    patterns = [contains(word) for word in words]
    return {"q": True, "words": patterns, "longest": max(patterns, key=len)}
