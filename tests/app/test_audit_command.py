"""`python -m app.audit verify`, as an operator runs it in a container."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from served import environment, run
from stores import Stores

from app.audit.recorder import Audit, note
from app.audit.sealer import seal
from app.db import Database
from app.settings import PoolSize


async def fill(stores: Stores, name: str) -> None:
    import asyncpg  # noqa: PLC0415

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
