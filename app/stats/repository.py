"""Statistics over tasks, computed by the database. Deleted tasks are in none of them, and no person whose
data may not be processed: restricted ones. Objections will be a condition here too."""

from __future__ import annotations

from uuid import UUID

import asyncpg
from sqlalchemy import text

from app.db import Database, Read
from app.task.models import Status, TaskType

SAMPLES = 5  # product contract, section 10: the least from which percentiles say anything
COUNTS = "SELECT status, count(*) AS n FROM tasks WHERE deleted_at IS NULL GROUP BY status"

# Hours a finished task took, without its pauses; null for every other, so that aggregates pass it over.
_HOURS = """
    CASE WHEN t.status = 'finished'
        THEN greatest(extract(epoch FROM t.actual_end - t.actual_start - t.paused_total), 0) / 3600.0
    END
"""
_RECENT = "t.deleted_at IS NULL AND t.created_at >= now() - make_interval(days => CAST(:days AS int))"
_MAY_COUNT = "u.deleted_at IS NULL AND u.restricted_at IS NULL"


def _percentile(share: float) -> str:
    return f"""
        CASE WHEN count(hours) >= {SAMPLES}
            THEN round(CAST(percentile_cont({share}) WITHIN GROUP (ORDER BY hours) AS numeric), 2)::float8
        END
    """


_MEAN = "round(CAST(avg(hours) AS numeric), 2)::float8"
_PERCENTILES = ", ".join(f"{_percentile(share)} AS p{share * 100:.0f}" for share in (0.25, 0.5, 0.75))
_EACH = ", ".join(
    [
        *(f"count(*) FILTER (WHERE status = '{each}') AS status_{each}" for each in Status),
        *(f"count(*) FILTER (WHERE type = '{each}') AS type_{each}" for each in TaskType),
    ]
)
_SUMMARY = f"""
    count(*) AS total, {_EACH}, count(hours) AS finished, {_MEAN} AS mean_hours,
    round(avg(CAST(actual_end <= planned_end AS int))
        FILTER (WHERE status = 'finished' AND planned_end IS NOT NULL), 4)::float8 AS on_time_share,
    {_PERCENTILES}
"""
_COLUMNS = f"t.status, t.type, t.planned_end, t.actual_end, {_HOURS} AS hours"
_USER = Read(
    text(f"""
        WITH person AS (SELECT u.id FROM users u WHERE u.uuid = CAST(:user AS uuid) AND {_MAY_COUNT}),
        theirs AS (
            SELECT t.id FROM tasks t WHERE t.delegate_id = (SELECT id FROM person)
            UNION
            SELECT a.task_id FROM task_assignments a JOIN officers o ON o.id = a.officer_id
            WHERE o.user_id = (SELECT id FROM person)
        ),
        counted AS (SELECT {_COLUMNS} FROM tasks t JOIN theirs USING (id) WHERE {_RECENT})
        SELECT (SELECT count(*) FROM person) AS persons, {_SUMMARY} FROM counted
    """)  # noqa: S608 - our own constants
)
_TEAM = Read(
    text(f"""
        WITH counted AS (
            SELECT {_COLUMNS} FROM tasks t JOIN users u ON u.id = t.delegate_id
            WHERE {_RECENT} AND u.restricted_at IS NULL
        )
        SELECT {_SUMMARY} FROM counted
    """)  # noqa: S608 - our own constants
)
_TASKS = Read(
    text(
        "SELECT type, priority, total, hours, success_rate, p25, p50, p75, updated_at FROM task_metrics"
        " ORDER BY type, priority"
    )
)
# Success: of the tasks that ended, those that were not cancelled.
REFRESH = f"""
    WITH counted AS (
        SELECT t.priority, {_COLUMNS} FROM tasks t JOIN users u ON u.id = t.delegate_id
        WHERE t.deleted_at IS NULL AND u.restricted_at IS NULL
    ), fresh AS (
        SELECT type, priority, count(*) AS total, {_MEAN} AS hours,
            round(avg(CAST(status = 'finished' AS int))
                FILTER (WHERE status IN ('finished', 'cancelled')), 4)::float8 AS success_rate,
            {_PERCENTILES}
        FROM counted GROUP BY type, priority
    ), gone AS (
        DELETE FROM task_metrics m
        WHERE NOT EXISTS (SELECT FROM fresh f WHERE (f.type, f.priority) = (m.type, m.priority))
    )
    INSERT INTO task_metrics (type, priority, total, hours, success_rate, p25, p50, p75, updated_at)
    SELECT type, priority, total, hours, success_rate, p25, p50, p75, now() FROM fresh
    ON CONFLICT (type, priority) DO UPDATE SET (total, hours, success_rate, p25, p50, p75, updated_at)
        = (excluded.total, excluded.hours, excluded.success_rate,
            excluded.p25, excluded.p50, excluded.p75, excluded.updated_at)
"""  # noqa: S608 - our own constants


async def of_user(database: Database, user: UUID, days: int) -> asyncpg.Record:
    """The summary of the tasks somebody answered for or was assigned to, created in the last `days` days;
    `persons` is 0 if there is nobody to count."""
    row = await database.row(_USER, user=user, days=days)
    assert row is not None  # noqa: S101 - an aggregate always has a row
    return row


async def of_team(database: Database, days: int) -> asyncpg.Record:
    """The summary of all tasks created in the last `days` days."""
    row = await database.row(_TEAM, days=days)
    assert row is not None  # noqa: S101 - an aggregate always has a row
    return row


async def of_tasks(database: Database) -> list[asyncpg.Record]:
    """The stored figures of each type and priority that there are tasks of."""
    return await database.rows(_TASKS)
