"""What a change makes untrue among the cached answers. Called after the change is committed."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from app.cached import ContentCache

TEAM = "team"
MAP = "map"


def of_user(user: UUID) -> str:
    """The tag of all answers about one person, by the user's uuid."""
    return f"user:{user}"


async def task_changed(cache: ContentCache, *, users: Iterable[UUID]) -> None:
    """A task was written: purge what its people (delegate, officers' users; also those of before), the team
    and the map show (product contract, section 10). Never fails: without Redis nothing is cached."""
    await cache.purge(TEAM, MAP, *map(of_user, users))


async def left_the_map(cache: ContentCache) -> None:
    """An officer or a position is to be seen no more, not even for the seconds a map is kept. Never fails."""
    await cache.purge(MAP)
