"""How long one client waits for an answer, over TLS and the proxy, on one connection that stays open."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import httpx

from infra.errors import GadError
from infra.operate.bench_figure import Figure, percentile
from infra.operate.district import STATIONS
from infra.operate.users import Account

REQUESTS = 500
WARM_UP = 20  # connection, token cache, plans: later requests are alike
LOGIN, NEAREST, LIVE = "/api/v1/auth/login", "/api/v1/officers/nearest", "/health/live"
TARGET_P95_MS = 50.0  # specified for mixed load of 300 requests a second (product contract)


def measure(base_url: str, authority: Path | None, account: Account) -> list[Figure]:
    """Nearest officers and bare liveness in turns, so that both see the same machine. Raises GadError."""
    verify = ssl.create_default_context(cafile=str(authority)) if authority is not None else True
    nearest: list[float] = []
    bare: list[float] = []
    with httpx.Client(base_url=base_url, verify=verify, timeout=15.0) as client:
        body = {"email": account.email, "password": account.password}
        login = _answer(client, client.build_request("POST", LOGIN, json=body))
        client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        for station in islice(cycle(STATIONS), REQUESTS + WARM_UP):
            where = {"lat": station.lat, "lon": station.lon}
            for into, request in (
                (nearest, client.build_request("GET", NEAREST, params=where)),
                (bare, client.build_request("GET", LIVE)),
            ):
                began = time.perf_counter()
                _answer(client, request)
                into.append((time.perf_counter() - began) * 1000)
    return figures(nearest[WARM_UP:], bare[WARM_UP:])


def figures(nearest: Sequence[float], bare: Sequence[float]) -> list[Figure]:
    """From milliseconds of each request; the ratio of both is the same on a slow and a fast machine."""
    middle, bare_middle = percentile(nearest, 0.5), percentile(bare, 0.5)
    name = f"GET {NEAREST}"
    return [
        Figure(what=f"{name} p50", measured=middle, unit="ms", detail=f"n={len(nearest)}, keep-alive"),
        Figure(what=f"{name} p95", measured=percentile(nearest, 0.95), unit="ms", target=TARGET_P95_MS),
        Figure(what=f"GET {LIVE} p50", measured=bare_middle, unit="ms"),
        Figure(what=f"GET {LIVE} p95", measured=percentile(bare, 0.95), unit="ms"),
        Figure(what="p50 of nearest to p50 of live", measured=middle / bare_middle, unit="×"),
    ]


def _answer(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    try:
        response = client.send(request)
    except httpx.TransportError as error:
        raise GadError(
            f"{request.url} does not answer: {error}", remedy="look at `gad status`, then measure again"
        ) from error
    if response.status_code != httpx.codes.OK:
        raise GadError(f"{request.url.path} answered {response.status_code}", remedy="look at the API's log")
    return response
