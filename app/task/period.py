"""When a task takes its officers' time: the planned window, which no two tasks of one officer may share."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.task.models import Priority

# Without an end: product contract, section 2 (start + 2 h + 0.5 h x (5 - priority)).
SHORTEST = timedelta(hours=2)
PER_STEP = timedelta(minutes=30)


def planned_period(
    planned_start: datetime, planned_end: datetime | None, priority: Priority
) -> tuple[datetime, datetime]:
    """Start and end of the window, the end excluded; the less urgent, the longer an unknown end is away."""
    if planned_end is not None:
        return planned_start, planned_end
    return planned_start, planned_start + SHORTEST + PER_STEP * (5 - priority.number)
