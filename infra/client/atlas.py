"""The map: who is where, and what is done where."""

from __future__ import annotations

from infra.client.operation import Answer, Operation

AROUND = ("lat", "lon", "radius_m")


class OfficerThere(Answer):
    """An officer with a recent position."""

    uuid: str
    internal_code: str
    availability: str
    lat: float
    lon: float


class TaskThere(Answer):
    """An active task with a place."""

    uuid: str
    code: str
    status: str
    lat: float
    lon: float


class Map(Answer):
    """What is around a point."""

    cached: bool
    officers: list[OfficerThere]
    tasks: list[TaskThere]


LOOK = Operation(method="GET", path="/api/v1/map", answer=Map, query=AROUND)
