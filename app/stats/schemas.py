"""What callers get to know of the team's work. Null: there is nothing to tell it from."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from app.fields import Answer
from app.task.models import Priority, Status, TaskType

_SUMMARY: dict[str, JsonValue] = {
    "as_of": "2026-03-01T12:00:00Z",
    "cached": False,
    "days": 30,
    "total": 9,
    "by_status": {"programmed": 1, "in_progress": 1, "paused": 0, "finished": 6, "cancelled": 1},
    "by_type": {
        "patrol": 5,
        "investigation": 0,
        "surveillance": 1,
        "intervention": 2,
        "administrative": 1,
        "training": 0,
    },
    "mean_hours": 3.25,
    "on_time_share": 0.8333,
    "percentiles": {"p25": 2.1, "p50": 3.0, "p75": 4.4},
}
_METRIC: dict[str, JsonValue] = {
    "type": "patrol",
    "priority": "medium",
    "total": 214,
    "mean_hours": 3.4,
    "success_rate": 0.94,
    "percentiles": None,
}


class Percentiles(Answer):
    """Hours that a quarter, half and three quarters of the finished tasks did not exceed."""

    p25: float
    p50: float
    p75: float


class Cached(Answer):
    """When it was computed (UTC), and whether for this request."""

    as_of: datetime
    cached: bool


class Summary(Cached):
    """Tasks created in the last `days` days: 24 hours each, up to now."""

    days: int
    total: int
    by_status: dict[Status, int]
    by_type: dict[TaskType, int]
    mean_hours: float | None = Field(description="Of finished tasks, without pauses.")
    on_time_share: float | None = Field(description="0-1, of finished tasks that had a planned end.")
    percentiles: Percentiles | None = Field(description="Null below 5 finished tasks.")


class TeamStats(Summary):
    """The team's tasks."""

    model_config = ConfigDict(title="TeamStats", json_schema_extra={"examples": [_SUMMARY]})


class UserStats(Summary):
    """The tasks that somebody answered for or was assigned to."""

    model_config = ConfigDict(
        title="UserStats",
        json_schema_extra={"examples": [{**_SUMMARY, "user": "0b0e7d6c-6d0e-4b5e-9a37-0f6b8a1a7a11"}]},
    )

    user: UUID


class TaskMetricRead(Answer):
    """How tasks of one type and priority go, of all time."""

    model_config = ConfigDict(title="TaskMetric", json_schema_extra={"examples": [_METRIC]})

    type: TaskType
    priority: Priority
    total: int
    mean_hours: float | None = Field(description="Of finished tasks, without pauses.")
    success_rate: float | None = Field(description="0-1: finished, of those finished or cancelled.")
    percentiles: Percentiles | None = Field(description="Null below 5 finished tasks.")


class TaskStats(Cached):
    """Figures for planning; `refreshed_at` is null before they were computed for the first time."""

    model_config = ConfigDict(
        title="TaskStats",
        json_schema_extra={
            "examples": [
                {
                    "as_of": "2026-03-01T12:00:00Z",
                    "cached": True,
                    "refreshed_at": "2026-03-01T11:50:00Z",
                    "items": [_METRIC],
                }
            ]
        },
    )

    refreshed_at: datetime | None
    items: list[TaskMetricRead]
