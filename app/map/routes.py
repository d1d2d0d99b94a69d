"""/api/v1/map."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.area import MAX_M
from app.cached import Content, as_response
from app.db import Db
from app.fields import Latitude, Longitude
from app.guard import GuardedRoute
from app.hot import hot
from app.map import service
from app.map.schemas import MapRead
from app.policy import API

router = APIRouter(prefix=f"{API}/map", tags=["map"], route_class=GuardedRoute)

Lat = Annotated[Latitude | None, Query()]
Lon = Annotated[Longitude | None, Query()]
# Product contract, section 4.
Radius = Annotated[float | None, Query(ge=100, le=MAX_M, allow_inf_nan=False, description="Metres.")]


@router.get("", response_model=MapRead)
@hot
async def show(  # noqa: PLR0917 - FastAPI calls it by name
    content: Content,
    database: Db,
    lat: Lat = None,
    lon: Lon = None,
    radius_m: Radius = None,
    south: Lat = None,
    west: Lon = None,
    north: Lat = None,
    east: Lon = None,
    cluster: Annotated[bool, Query(description="Group things, however few they are.")] = False,
) -> Response:
    """Officers and active tasks around a point (lat, lon, radius_m: 5000 if absent) or within a box of up to
    two degrees (south, west, north, east; west > east crosses the date line)."""
    cell = service.asked_cell((lat, lon), radius_m, (south, west, north, east), is_grouped=cluster)
    return as_response(await service.read_map(content, database, cell))
