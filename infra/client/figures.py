"""Statistics, as the API gives them. None: there is nothing to tell it from."""

from __future__ import annotations

from datetime import datetime

from infra.client.operation import Answer, Operation

STATS = "/api/v1/stats"


class Percentiles(Answer):
    """Hours that a quarter, half and three quarters of the finished tasks did not exceed."""

    p25: float
    p50: float
    p75: float


class Summary(Answer):
    """Tasks created in the last `days` days; `cached` if it was computed for an earlier request."""

    as_of: datetime
    cached: bool
    days: int
    total: int
    by_status: dict[str, int]
    by_type: dict[str, int]
    mean_hours: float | None
    on_time_share: float | None
    percentiles: Percentiles | None


class Metric(Answer):
    """How tasks of one type and priority go, of all time."""

    type: str
    priority: str
    total: int
    mean_hours: float | None
    success_rate: float | None


class Metrics(Answer):
    """Figures for planning."""

    items: list[Metric]


OF_TEAM = Operation(method="GET", path=f"{STATS}/team", answer=Summary, query=("days",))
OF_USER = Operation(method="GET", path=f"{STATS}/users/{{user_id}}", answer=Summary, query=("days",))
OF_TASKS = Operation(method="GET", path=f"{STATS}/tasks", answer=Metrics)
