"""Lists: a limit, an opaque cursor, and answers written straight from rows."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Query
from starlette.responses import Response

from app.errors import Invalid

MAX_LIMIT = 100  # product contract, section 4
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
# Rows a statement reads, one more than a page shows, so that it is known whether there is another.
# A number in the text: with a parameter the planner would assume a tenth of the table, and plan each call.
DEPTHS = (21, 51, MAX_LIMIT + 1)
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]
Record = TypeVar("Record")


def depth(rows: int) -> int:
    """The first of DEPTHS that holds `rows`, or they themselves; what was read beyond, `page` leaves out."""
    return next((each for each in DEPTHS if each >= rows), rows)


def json_response(answer: object, status: int = 200, **headers: str) -> Response:
    """Reads are written straight from the row: the model describes them, a test compares both."""
    content = orjson.dumps(answer, default=str, option=orjson.OPT_UTC_Z)  # str: the driver's own UUID class
    return Response(content, status, headers=headers, media_type="application/json")


def encode(*key: object) -> str:
    """The cursor that stands for a row's place in its order."""
    return base64.urlsafe_b64encode(orjson.dumps([str(part) for part in key])).decode().rstrip("=")


def decode(cursor: str, *kinds: Callable[[str], Any]) -> list[Any]:
    """The parts of a cursor, each read by its kind. Raises Invalid for one that we never gave."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(parts, list) or len(parts) != len(kinds):
            raise ValueError(parts)
        return [kind(str(part)) for kind, part in zip(kinds, parts, strict=True)]
    except (ValueError, TypeError, ArithmeticError, binascii.Error) as error:
        raise Invalid("query.cursor", "cursor") from error


def page(
    rows: Sequence[Record],
    limit: int,
    *,
    item: Callable[[Record], Mapping[str, object]],
    key: Callable[[Record], Sequence[object]],
) -> dict[str, object]:
    """A page of up to `limit` of `rows`, which holds more if there is a next page."""
    more = len(rows) > limit
    return {
        "items": [item(row) for row in rows[:limit]],
        "next_cursor": encode(*key(rows[limit - 1])) if more else None,
    }
