"""A served process that the smoke test asks, with a database of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from served import SECRETS, Served, environment, run, served
from stores import Stores
from test_health import write

from app.limits import RateClass

NAMES = ["live", "database", "schema", "redis", "postgis", "login", "me", "websocket", "logout"]
# A limit of one a minute for each: what a run does hangs neither on people nor on the run before it.
LIMITS = {f"GAD_RATE_{rate.upper()}": "1" for rate in RateClass}
SOCKETS = 2
NOTHING = {"subject_keys": 0, "sessions": 0, "refresh_tokens": 0, "hashes": 0}
PATIENT = ("--within", "50")  # a busy machine is no failure here


@dataclass
class Slot:
    """A served process with a database of its own, and what a program beside it is told."""

    api: Served
    env: dict[str, str]
    live: Path
    stores: Stores
    database: str

    def smoke(self, *arguments: str, **changes: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, report and stderr; none of the process's secrets is in them."""
        done = run("smoke", *(arguments or PATIENT), env={**self.env, **changes})
        secret = [Path(self.env[f"GAD_{name.upper()}_FILE"]).read_text() for name in SECRETS]
        said = done.stdout + done.stderr
        assert [each for each in ("eyJ", *secret) if each in said] == []
        assert done.stdout.count("\n") == 1, done.stderr
        return done.returncode, json.loads(done.stdout), done.stderr

    def execute(self, *statements: str) -> None:
        self.stores.execute(*statements, database=self.database)

    def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        return asyncio.run(self.stores.fetch(statement, database=self.database))

    def shown(self) -> list[str]:
        """E-mails of the accounts that lists show."""
        rows = self.fetch("SELECT email FROM users WHERE deleted_at IS NULL ORDER BY 1")
        return [email for (email,) in rows]

    def left(self) -> dict[str, int]:
        """Rows that are of use to somebody."""
        tables = ("subject_keys", "sessions", "refresh_tokens")
        counts = {name: self.fetch(f"SELECT count(*) FROM {name}")[0][0] for name in tables}  # noqa: S608
        hashes = self.fetch("SELECT count(*) FROM users WHERE password_hash <> '!'")[0][0]
        return {**counts, "hashes": hashes}

    def failing(self, *arguments: str, **changes: str) -> tuple[str, str]:
        """The error's line and the remedy's; everything before the check that failed was well."""
        code, report, said = self.smoke(*arguments, **changes)
        assert (code, report["ok"]) == (1, False)
        oks = [check["ok"] for check in report["checks"]]
        assert oks == [True] * (len(oks) - 1) + [False]
        last = report["checks"][-1]
        assert [check["name"] for check in report["checks"]] == NAMES[: len(oks)]
        error, remedy = said.splitlines()
        assert error == f"error: {last['name']}: {last['reason']}"
        assert remedy.startswith("remedy: ")
        return error, remedy


def refuse(table: str, when: str) -> tuple[str, ...]:
    """As a step would that old code cannot work with."""
    return (
        "CREATE OR REPLACE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'not by this code' USING DETAIL = NEW::text; END $$",
        f"CREATE TRIGGER no BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION no()",
    )


@contextmanager
def smoked(stores: Stores, database: str, scratch: Path) -> Iterator[Slot]:
    """A slot in rotation, on an empty schema."""
    live = scratch / "live"
    write(live, "blue")
    told = {"GAD_SLOT": "blue", "GAD_LIVE_SLOT_FILE": str(live), "GAD_WS_MAX_CLIENTS": str(SOCKETS)}
    # Longer than a test: neither the API nor the driver ends a wait before the run does.
    patience = {"GAD_WS_AUTH_S": "60", "GAD_DB_STATEMENT_MS": "60000"}
    env = environment(stores, scratch, **LIMITS, **told, **patience)
    Path(env["GAD_DATABASE_URL_FILE"]).write_text(stores.dsn(database=database))
    with served(env, scratch) as api:
        api.wait_ready(200)
        yield Slot(api, env, live, stores, database)
