"""The private port: metrics and deep health, for the stack's own network. No token, no other route."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import asyncpg
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import metrics, outbox
from app.audit import repository as audit
from app.health.checks import PROBE_ERRORS, DatabaseProbe, Health
from app.officer import repository as officers
from app.officer.models import Availability
from app.stats import repository as stats
from app.task.models import Status

Rows = list[asyncpg.Record]


def _show_officers(rows: Rows) -> None:
    found = {row["availability"]: row["n"] for row in rows}
    for each in Availability:
        metrics.officers.labels(each.value).set(found.get(each.value, 0))


def _show_tasks(rows: Rows) -> None:
    found = {row["status"]: row["n"] for row in rows}
    for each in Status:
        metrics.tasks.labels(each.value).set(found.get(each.value, 0))


def _show_unsealed(rows: Rows) -> None:
    metrics.audit_unsealed.set(rows[0]["n"])


def _show_pending(rows: Rows) -> None:
    metrics.outbox_pending.set(rows[0]["pending"])


# What is counted in the database when somebody looks, and the gauge that shows it.
COUNTED: tuple[tuple[str, Callable[[Rows], None]], ...] = (
    (officers.COUNTS, _show_officers),
    (stats.COUNTS, _show_tasks),
    (audit.COUNT_UNSEALED, _show_unsealed),
    (outbox.COUNT_PENDING, _show_pending),
)


def application(health: Health, probe: DatabaseProbe) -> Starlette:
    """What listens on the private port."""

    async def show_metrics(_request: Request) -> Response:
        # On the probe's connection: a scrape must not wait behind requests, nor they behind it. When it fails
        # the last numbers stay; the readiness of the slot tells why.
        with suppress(*PROBE_ERRORS):
            for sql, show in COUNTED:
                show(await probe.ask(sql))
        return Response(metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def show_health(_request: Request) -> Response:
        return Response(orjson.dumps(await health.deep(), default=str), media_type="application/json")

    return Starlette(routes=[Route("/metrics", show_metrics), Route("/health/deep", show_health)])
