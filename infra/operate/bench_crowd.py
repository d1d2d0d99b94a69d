"""A hundred thousand officers for one measurement: temporary tables of the real ones' shape, then nothing.

Pure: the text that psql is given. Temporary tables hide the real ones from one session, so that the
application's own statements run unchanged; the session ends in a rollback, and no other ever sees them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.operate.district import STATIONS

OFFICERS = 100_000  # the contract's number
ROUNDS = 3  # at each station; the first only warms the caches
TABLES = ("users", "officers", "officer_shifts", "task_assignments")
SEPARATOR = "--8<--"

# Of all, some are busy, some have said nothing for hours, some are restricted, some are off their shift:
# who cannot be sent stands everywhere among who can. Two thirds are within 15 km of a station.
_FILL = (
    f"""
    INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc, restricted_at)
    SELECT 'c' || n || '@distrito.example', 'Luz', 'Chimbo', 1, '!', '', CASE WHEN n % 29 = 0 THEN now() END
    FROM generate_series(1, {OFFICERS}) AS n
    """,  # noqa: S608 - our own constants
    f"""
    INSERT INTO officers (user_id, internal_code, availability, last_position, position_at)
    SELECT u.id, 'CROWD-' || u.id,
        (ARRAY['available', 'available', 'available', 'available', 'off_duty', 'unavailable'])[1 + u.id % 6],
        CAST(ST_SetSRID(ST_MakePoint(s.lon + (random() - 0.5) * spread, s.lat + (random() - 0.5) * spread),
            4326) AS geography),
        now() - make_interval(mins => CASE WHEN u.id % 7 = 0 THEN 300 ELSE 1 END)
    FROM users u
    JOIN (VALUES {", ".join(f"({n}, {s.lat}, {s.lon})" for n, s in enumerate(STATIONS))}) AS s (n, lat, lon)
        ON s.n = u.id % {len(STATIONS)}
    CROSS JOIN LATERAL (SELECT CASE WHEN u.id % 3 = 0 THEN 5.0 ELSE 0.27 END AS spread) AS far
    """,  # noqa: S608 - our own constants
    """
    INSERT INTO officer_shifts (officer_id, period)
    SELECT id, tstzrange(now() + begins, now() + begins + interval '8 hours')
    FROM (SELECT id, make_interval(hours => CASE WHEN id % 10 = 0 THEN 4 ELSE -4 END) AS begins
        FROM officers WHERE id % 5 = 0) AS planned
    """,
    """
    INSERT INTO task_assignments (task_id, officer_id, period)
    SELECT 1, id, tstzrange(now(), now() + interval '1 hour') FROM officers WHERE id % 11 = 0
    """,
)
# Built when all rows are there: quicker, and the same in the end. Nobody is searched by words here.
_INDEXES = f"""
    SELECT replace(indexdef, ' ON public.', ' ON pg_temp.') FROM pg_indexes
    WHERE schemaname = 'public' AND tablename IN ({", ".join(f"'{table}'" for table in TABLES)})
    AND indexdef NOT LIKE '%gin_trgm_ops%'
"""  # noqa: S608 - our own constants


def script(statements: Sequence[str], values: Mapping[str, str], *, before: str) -> str:
    """For psql: make the crowd, run `before`, explain each statement at each station `ROUNDS` times, go back.

    `values`: SQL for the statements' other `:names`. One statement's plans come before the next one's.
    """
    lines = ["SET temp_buffers = '256MB';", "BEGIN;"]
    lines += [f"CREATE TEMP TABLE {each} (LIKE public.{each} INCLUDING DEFAULTS);" for each in TABLES]
    # Numbers as the real tables give them, from a sequence that goes with the session.
    lines += ["CREATE TEMP SEQUENCE crowd;"]
    lines += [f"ALTER TABLE pg_temp.{each} ALTER id SET DEFAULT nextval('crowd');" for each in TABLES]
    for fill, table in zip(_FILL, TABLES, strict=True):
        lines += ["ALTER SEQUENCE crowd RESTART;", f"{fill.strip()};", f"ANALYZE pg_temp.{table};"]
    lines += [f"{_INDEXES.strip()} \\gexec", f"\\o /dev/null\n{before};\n\\o"]
    for name, value in values.items():
        quoted = value.replace("'", "''")
        lines.append(f"\\set {name} '{quoted}'")
    for statement in statements:
        for station in STATIONS * ROUNDS:
            lines += [f"\\set lat {station.lat}", f"\\set lon {station.lon}"]
            lines += [f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.strip()};", f"\\echo {SEPARATOR}"]
    return "\n".join([*lines, "ROLLBACK;"]) + "\n"
