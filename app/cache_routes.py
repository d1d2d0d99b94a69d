"""/api/v1/admin/cache: the content cache, looked at and emptied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field

from app.audit.recorder import Audit, note
from app.cache import CACHE_ERRORS
from app.cached import Content
from app.db import Db
from app.errors import Unavailable
from app.fields import Answer
from app.guard import Authorized, GuardedRoute
from app.metrics import CACHE_RESULTS
from app.page import json_response
from app.policy import API

router = APIRouter(prefix=f"{API}/admin/cache", tags=["admin"], route_class=GuardedRoute)


class CacheState(Answer):
    """Keys are those of all replicas; requests are those of this one since its start."""

    model_config = ConfigDict(
        title="CacheState",
        json_schema_extra={
            "examples": [
                {
                    "keys": {"stats:user": 12, "stats:team": 1, "stats:tasks": 1, "map": 3},
                    "requests": {"hit": 870, "miss": 112, "error": 0},
                    "hit_ratio": 0.886,
                }
            ]
        },
    )

    keys: dict[str, int]
    requests: dict[str, int]
    hit_ratio: float | None = Field(description="0-1, of the requests that Redis answered.")


@router.get("", response_model=CacheState)
async def show(content: Content) -> Response:
    """How many answers are kept, and how often they helped."""
    with _redis_needed():
        keys = await content.count()
    requests = {result: content.results[result] for result in CACHE_RESULTS}
    answered = requests["hit"] + requests["miss"]
    ratio = round(requests["hit"] / answered, 3) if answered else None
    return json_response({"keys": keys, "requests": requests, "hit_ratio": ratio})


@router.delete("", status_code=204)
async def purge(caller: Authorized, content: Content, database: Db) -> Response:
    """Forget every cached answer, of all replicas."""
    with _redis_needed():
        await content.purge_all()
    await note(database, Audit(type="cache.purge", resource="admin/cache", actor=caller.principal.user))
    return Response(status_code=204)


@contextmanager
def _redis_needed() -> Iterator[None]:
    try:
        yield
    except CACHE_ERRORS as error:
        raise Unavailable from error
