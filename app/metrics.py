"""Every metric of the process, declared once: name, labels with closed values, buckets.

No identifier is ever a label value. Counters with closed label sets start at 0, so a first event is a rise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry(auto_describe=False)
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

# Product contract, section 11: .05 .1 .2 .5 1 2 must be there; the rest resolve hot reads and long waits.
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
WAIT_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.0)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")  # anything else is counted as OTHER
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
DB_ERRORS = ("connect", "pool_timeout", "statement_timeout", "other")
AUTH_FAILURES = (
    *("credentials", "missing", "malformed", "expired", "claims", "level"),
    *("session", "locked", "refresh"),
)
CACHE_RESULTS = ("hit", "miss", "error")
SEND_ERRORS = ("slow",)
# What a socket can end with; anything else is counted as other.
WS_CODES = ("1000", "1001", "1005", "1006", "1009", "1011", "1012", "1013", "4401", "4408", "4429", "other")
UNMATCHED = "unmatched"  # a path that no route answers

http_requests = Counter(
    "gad_http_requests_total", "Answers sent.", ("method", "route", "status"), registry=REGISTRY
)
http_duration = Histogram(
    "gad_http_request_duration_seconds",
    "From the first byte of a request to the last of its answer.",
    ("route",),
    buckets=LATENCY_BUCKETS,
    registry=REGISTRY,
)
db_pool_wait = Histogram(
    "gad_db_pool_wait_seconds", "Wait for a connection.", buckets=WAIT_BUCKETS, registry=REGISTRY
)
db_errors = Counter("gad_db_errors_total", "Failures of the database.", ("kind",), registry=REGISTRY)
auth_failures = Counter("gad_auth_failures_total", "Refused callers.", ("reason",), registry=REGISTRY)
rate_limited = Counter(
    "gad_rate_limited_total", "Requests refused as too many.", ("class",), registry=REGISTRY
)
cache_requests = Counter(
    "gad_cache_requests_total", "Answers looked up in the content cache.", ("result",), registry=REGISTRY
)
log_messages = Counter("gad_log_messages_total", "Lines written.", ("level",), registry=REGISTRY)
tasks = Gauge("gad_tasks", "Live tasks.", ("status",), registry=REGISTRY)
audit_unsealed = Gauge("gad_audit_unsealed", "Audit events not yet in the chain.", registry=REGISTRY)
officers = Gauge("gad_officers", "Live officers.", ("availability",), registry=REGISTRY)
event_loop_lag = Gauge(
    "gad_event_loop_lag_seconds", "How late the loop last woke a sleeper.", registry=REGISTRY
)
outbox_pending = Gauge("gad_outbox_pending", "Committed events not yet published.", registry=REGISTRY)
ws_connections = Gauge(
    "gad_ws_connections", "Open sockets, those that did not say who too.", registry=REGISTRY
)
ws_sent = Counter("gad_ws_sent_total", "Events sent, one for each receiver.", registry=REGISTRY)
ws_send_errors = Counter(
    "gad_ws_send_errors_total", "Messages that did not reach their receiver.", ("reason",), registry=REGISTRY
)
ws_closed = Counter("gad_ws_closed_total", "Sockets closed, by either side.", ("code",), registry=REGISTRY)
ws_fanout_lag = Histogram(
    "gad_ws_fanout_lag_seconds",
    "From an event's moment to its last receiver's turn in this process.",
    buckets=LATENCY_BUCKETS,
    registry=REGISTRY,
)
ws_heartbeat = Gauge(
    "gad_ws_heartbeat_timestamp_seconds", "When the stream of events was last read.", registry=REGISTRY
)
build_info = Gauge("gad_build_info", "Always 1.", ("version", "slot"), registry=REGISTRY)

for _level in LOG_LEVELS:
    log_messages.labels(_level)
for _kind in DB_ERRORS:
    db_errors.labels(_kind)
for _reason in SEND_ERRORS:
    ws_send_errors.labels(_reason)
for _code in WS_CODES:
    ws_closed.labels(_code)
for _result in CACHE_RESULTS:
    cache_requests.labels(_result)
for _reason in AUTH_FAILURES:
    auth_failures.labels(_reason)

_lag_s = 0.0
LAG_INTERVAL_S = 0.5  # chosen: cheap, and finer than any scrape


class PoolConnections(Collector):
    """`gad_db_pool_connections{state}`, asked from the pool when scraped."""

    def __init__(self, count: Callable[[], tuple[int, int]]) -> None:
        self._count = count

    def collect(self) -> Iterable[Metric]:
        """In use and idle connections of this process."""
        in_use, idle = self._count()
        family = GaugeMetricFamily("gad_db_pool_connections", "Connections of the pool.", labels=("state",))
        family.add_metric(("in_use",), in_use)
        family.add_metric(("idle",), idle)
        yield family


def prime_routes(routes: Iterable[tuple[str, str, int]]) -> None:
    """Start the counters of each (method, route, usual status) at 0, its 500 and 503 too."""
    for method, route, status in routes:
        for each in (status, 500, 503):
            http_requests.labels(method, route, str(each))
        http_duration.labels(route)


_bound: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}


def count_exchange(method: str, route: str, status: int, took_s: float) -> None:
    """One answer. The labels' children are kept: to look them up by names costs more than to count."""
    key = (method, route, status)
    bound = _bound.get(key)
    if bound is None:
        bound = http_requests.labels(method, route, str(status)), http_duration.labels(route)
        _bound[key] = bound
    bound[0].inc()
    bound[1].observe(took_s)


def render() -> bytes:
    """The registry in Prometheus' text format."""
    return prometheus_client.generate_latest(REGISTRY)


def current_lag() -> float:
    """Seconds, as last measured."""
    return _lag_s


async def watch_event_loop() -> None:
    """Measure the loop's lag for ever; cancel to stop."""
    global _lag_s  # noqa: PLW0603 - one loop, one number
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_INTERVAL_S
        await asyncio.sleep(LAG_INTERVAL_S)
        _lag_s = max(0.0, loop.time() - due)
        event_loop_lag.set(_lag_s)
