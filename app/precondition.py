"""If-Match: whoever changes something says which version they saw."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header

from app.errors import Code, Problem

_TAG = re.compile(r'"([1-9][0-9]{0,9})"')


def etag(version: object) -> str:
    """The ETag of a version."""
    return f'"{version}"'


def check(seen: int | None, version: int) -> None:
    """Raises Problem (stale) unless `seen` is the stored version; None is `*`."""
    if seen is not None and seen != version:
        raise Problem(Code.STALE)


async def _seen(
    if_match: Annotated[
        str | None, Header(max_length=64, description="The ETag that was read, or *.")
    ] = None,
) -> int | None:
    """The version that was seen; None for `*`. Raises Problem: precondition_required, stale."""
    if if_match is None:
        raise Problem(Code.PRECONDITION_REQUIRED)
    if if_match.strip() == "*":
        return None
    match = _TAG.fullmatch(if_match.strip())
    if match is None:
        raise Problem(Code.STALE)  # no ETag of ours, so no version of ours
    return int(match[1])


Seen = Annotated[int | None, Depends(_seen)]
