"""A hundred thousand officers in a database of their own: written by the server, in a few seconds."""

from __future__ import annotations

OFFICERS = 100_000
CITY = (-0.2, -78.5)

# Two thirds crowd one city, the others the country around it. Of all, some are busy, some have said nothing
# for hours, some are restricted, some are off their shift: who is not eligible is everywhere among who is.
FILL = (
    "SELECT setseed(0.5)",
    # Quicker, and the same in the end: indexes of places are built when all are there, those of words not at
    # all, and what refers to what is right by construction.
    "SET session_replication_role = replica",
    """
    CREATE TEMP TABLE later AS SELECT indexname, indexdef, indexdef LIKE '%last_position%' AS is_place
    FROM pg_indexes
    WHERE schemaname = 'public' AND (indexdef LIKE '%trgm%' OR indexdef LIKE '%last_position%')
    """,
    "DO $$ BEGIN EXECUTE (SELECT 'DROP INDEX ' || string_agg(indexname, ', ') FROM later); END $$",
    f"""
    INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc, restricted_at)
    SELECT 'c' || n || '@distrito.example', 'Luz', 'Chimbo', 1, '!', '',
        CASE WHEN n % 29 = 0 THEN now() END
    FROM generate_series(1, {OFFICERS}) AS n
    """,  # noqa: S608 - our own constants
    """
    INSERT INTO officers (user_id, internal_code, availability, last_position, position_at)
    SELECT id, 'CROWD-' || id,
        (ARRAY['available', 'available', 'available', 'available', 'off_duty', 'unavailable'])[1 + id % 6],
        ST_SetSRID(ST_MakePoint(-78.5 + (random() - 0.5) * spread, -0.2 + (random() - 0.5) * spread), 4326)
            ::geography,
        now() - make_interval(mins => CASE WHEN id % 7 = 0 THEN 300 ELSE 1 END)
    FROM (SELECT id, CASE WHEN id % 3 = 0 THEN 5.0 ELSE 0.3 END AS spread FROM users) AS people
    """,
    """
    INSERT INTO officer_shifts (officer_id, period)
    SELECT id, tstzrange(now() + begins, now() + begins + interval '8 hours')
    FROM (
        SELECT id, make_interval(hours => CASE WHEN id % 10 = 0 THEN 4 ELSE -4 END) AS begins
        FROM officers WHERE id % 5 = 0
    ) AS planned
    """,
    """
    INSERT INTO tasks (code, title, type, status, priority, planned_start, delegate_id, created_by)
    SELECT 'CROWD-1', 'Patrullaje de prueba', 'patrol', 'programmed', 2, now(), min(id), min(id) FROM users
    """,
    """
    INSERT INTO task_assignments (task_id, officer_id, period)
    SELECT t.id, o.id, tstzrange(now(), now() + interval '1 hour') FROM tasks t, officers o
    WHERE o.id % 11 = 0
    """,
    """
    DO $$ DECLARE each record; BEGIN
        FOR each IN SELECT indexdef FROM later WHERE is_place LOOP EXECUTE each.indexdef; END LOOP;
    END $$
    """,
    "ANALYZE",
)
# Who may be sent, in other words than the application's: sets taken from each other, no index in mind.
ELIGIBLE = """
    SELECT o.id FROM officers o JOIN users u ON u.id = o.user_id
    WHERE o.availability = 'available' AND u.restricted_at IS NULL
    AND o.position_at >= now() - interval '30 minutes'
    EXCEPT SELECT officer_id FROM task_assignments WHERE released_at IS NULL
    EXCEPT (SELECT officer_id FROM officer_shifts
        EXCEPT SELECT officer_id FROM officer_shifts WHERE period @> now())
"""
