"""/api/v1/catalogue: each set of values on the wire with its Spanish labels, for whoever shows them."""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Response
from pydantic import ConfigDict

from app.fields import Answer
from app.guard import GuardedRoute
from app.i18n import text
from app.officer.models import Availability
from app.policy import API
from app.task.models import Priority, Status, TaskType
from app.user.models import Level

router = APIRouter(prefix=f"{API}/catalogue", tags=["catalogue"], route_class=GuardedRoute)

# The product contract's sets (section 1), under the names that fields have.
SETS: dict[str, type[Enum]] = {
    "level": Level,
    "status": Status,
    "priority": Priority,
    "type": TaskType,
    "availability": Availability,
}
MAX_AGE_S = 300  # chosen: labels change with a release; five minutes of old words harm nobody


def label(name: str, value: object) -> str:
    """The Spanish label of a value of a set. KeyError for one that there is not."""
    return text(f"label.{name}.{value}")


class Labelled(Answer):
    """A value on the wire and what people read for it."""

    value: int | str
    label: str


class Catalogue(Answer):
    """Sets in the order in which they are shown."""

    model_config = ConfigDict(
        title="Catalogue",
        json_schema_extra={
            "examples": [
                {
                    "level": [{"value": 1, "label": "efectivo"}],
                    "status": [{"value": "programmed", "label": "programada"}],
                    "priority": [{"value": "low", "label": "baja"}],
                    "type": [{"value": "patrol", "label": "patrullaje"}],
                    "availability": [{"value": "available", "label": "disponible"}],
                }
            ]
        },
    )

    level: list[Labelled]
    status: list[Labelled]
    priority: list[Labelled]
    type: list[Labelled]
    availability: list[Labelled]


CONTENT = orjson.dumps(
    {
        name: [{"value": each.value, "label": label(name, each.value)} for each in values]
        for name, values in SETS.items()
    }
)
ETAG = f'"{sha256(CONTENT).hexdigest()[:16]}"'
_HEADERS = {"ETag": ETAG, "Cache-Control": f"private, max-age={MAX_AGE_S}"}


@router.get(
    "",
    response_model=Catalogue,
    responses={304: {"description": "What the caller has is still true."}},
)
async def show(
    if_none_match: Annotated[
        str | None, Header(max_length=200, description="The ETag that was read.")
    ] = None,
) -> Response:
    """Every set of values with its labels."""
    if if_none_match is not None and _knows(if_none_match):
        return Response(status_code=304, headers=_HEADERS)
    return Response(CONTENT, headers=_HEADERS, media_type="application/json")


def _knows(if_none_match: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return bool(tags & {ETAG, "*"})
