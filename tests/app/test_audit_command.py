"""`python -m app.audit verify` as an operator runs it in a container, and the duties of a running process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from served import environment, run, served
from stores import Stores, wait_for

from app.audit.recorder import Audit, note
from app.audit.sealer import seal
from app.db import Database
from app.settings import PoolSize


async def fill(stores: Stores, name: str) -> None:
    dsn = stores.dsn(database=name)
    database = Database(dsn, pool=PoolSize(1, 0), wait_s=5, statement_ms=5000, name="test")
    for number in range(5):
        await note(database, Audit(type="task.create", resource=f"task/{number}", actor=None))
    await database.close()
    connection = await asyncpg.connect(dsn)
    await seal(connection)
    await connection.close()


@pytest.fixture
def env(stores: Stores, new_database: Callable[[str], str], tmp_path: Path) -> dict[str, str]:
    """Of a process on a database of its own, with five sealed events."""
    name = new_database("gad_head")
    asyncio.run(fill(stores, name))
    variables = environment(stores, tmp_path, TEST_DATABASE=name)
    Path(variables["GAD_DATABASE_URL_FILE"]).write_text(stores.dsn(database=name))
    return variables


def test_it_says_whether_the_trail_is_whole(stores: Stores, env: dict[str, str]) -> None:
    whole = run("audit", "verify", env=env)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert whole.stdout.endswith("the audit trail is as it was written: 5 events, 0 unsealed\n")
    head = re.search(r"^head (5:[0-9a-f]{64})$", whole.stdout, re.MULTILINE)
    assert head is not None

    # The end is cut off: within the database nothing shows it, the head that was noted does.
    stores.execute(
        "ALTER TABLE audit_events DISABLE TRIGGER ALL",
        "DELETE FROM audit_events WHERE seq = 5",
        database=env["TEST_DATABASE"],
    )
    assert run("audit", "verify", env=env).returncode == 0
    cut = run("audit", "verify", "--anchor", head[1], env=env)
    assert (cut.returncode, cut.stderr) == (3, "")
    assert cut.stdout.endswith("the audit trail was altered at 5: missing (gap)\n")

    stores.execute("UPDATE audit_events SET type = 'x' WHERE seq = 2", database=env["TEST_DATABASE"])
    altered = run("audit", "verify", env=env)
    assert altered.returncode == 3
    assert re.search(
        r"^the audit trail was altered at 2: event [0-9a-f-]{36} \(hash\)$", altered.stdout, re.M
    )


NOBODY = "postgresql://gad_app@127.0.0.1:1/gad"


@pytest.mark.parametrize(
    ("case", "code", "says"),
    [
        ((["verify"], {"GAD_ENV": "moon"}), 2, "error: GAD_ENV"),
        ((["verify", "--anchor", "7"], {}), 2, "write it as SEQ:HASH"),
        ((["verify"], {"url": NOBODY}), 1, "error: PostgreSQL does not answer"),
    ],
    ids=["settings", "usage", "away"],
)
def test_exit_codes(
    stores: Stores, tmp_path: Path, case: tuple[list[str], dict[str, str]], code: int, says: str
) -> None:
    arguments, changes = case
    env = environment(stores, tmp_path)
    url = changes.pop("url", stores.dsn())
    Path(env["GAD_DATABASE_URL_FILE"]).write_text(url)
    done = run("audit", *arguments, env={**env, **changes})
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def ask(dsn: str, statement: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


TASK = """
    WITH person AS (
        INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc)
        VALUES ('a@distrito.example', 'A', 'B', 1, '!', '') RETURNING id
    )
    INSERT INTO tasks (code, title, type, priority, planned_start, delegate_id, created_by)
    SELECT 'DUTY-1', 'Ronda por el centro', 'patrol', 3, now(), id, id FROM person
"""


def test_a_running_process_seals_within_two_seconds(env: dict[str, str], tmp_path: Path) -> None:
    dsn = Path(env["GAD_DATABASE_URL_FILE"]).read_text()
    ask(dsn, TASK)
    took = []
    with served(env, tmp_path) as api:
        api.wait_ready(200)
        # The first row also waits until the process leads.
        for number in range(4):
            resource = f"late/{number}"
            ask(dsn, ROW.format(resource=resource))
            sealed = f"SELECT hash IS NOT NULL FROM audit_events WHERE resource = '{resource}'"  # noqa: S608
            took.append(wait_for(lambda q=sealed: bool(ask(dsn, q)), "it is sealed", within_s=20))  # type: ignore[misc]
        metrics = api.private.get("/metrics").text.splitlines()
        wait_for(lambda: ask(dsn, "SELECT count(*) FROM task_metrics") == 1, "figures are there", within_s=5)
        assert "duty failed" not in api.log.read_text()
    assert "gad_audit_unsealed 0.0" in metrics
    assert max(took[1:]) < 2, took
    assert run("audit", "verify", env=env).returncode == 0


ROW = """
    INSERT INTO audit_events
        (type, severity, channel, resource, success, request_id, payload_sha256, retention_until)
    VALUES ('task.create', 'low', 'api', '{resource}', true, 'x', sha256('null'), now() + interval '1 year')
"""
