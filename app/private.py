"""The private port: metrics and deep health, for the stack's own network. No token, no other route."""

from __future__ import annotations

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import metrics
from app.health.checks import PROBE_ERRORS, DatabaseProbe, Health
from app.officer import repository as officers
from app.officer.models import Availability


def application(health: Health, probe: DatabaseProbe) -> Starlette:
    """What listens on the private port."""

    async def show_metrics(_request: Request) -> Response:
        try:
            # On the probe's connection: a scrape must not wait behind requests, nor they behind it.
            found = {row["availability"]: row["n"] for row in await probe.ask(officers.COUNTS)}
        except PROBE_ERRORS:
            pass  # the last numbers stay; the readiness of the slot tells why
        else:
            for each in Availability:
                metrics.officers.labels(each.value).set(found.get(each.value, 0))
        return Response(metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def show_health(_request: Request) -> Response:
        return Response(orjson.dumps(await health.deep(), default=str), media_type="application/json")

    return Starlette(routes=[Route("/metrics", show_metrics), Route("/health/deep", show_health)])
