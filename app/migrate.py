"""`python -m app.migrate upgrade|current|check|pending|sql`: the only thing that changes the schema.

It runs as the schema's owner (GAD_MIGRATION_URL), in its own container; the API never migrates.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg
from alembic import autogenerate, command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app import logs
from app.errors import StartError
from app.migrations import ORDINAL
from app.schema import METADATA
from app.settings import MigrationSettings, load

# Any number, the same for ever: two migrators must meet at the same lock.
ADVISORY_LOCK = 0x6761645F6D69
WAIT_OTHER_S = 300  # chosen: another migrator's whole chain
POLL_S = 0.1
LOCK_S = 1  # product contract: a step that must wait for a lock longer gives up, readers come first

BASE = "base"  # how an empty database's revision is called
DIFFERENT = 3  # exit code of `check`, as in every command of the project


def config() -> Config:
    """Alembic's configuration; there is no ini file to keep in step."""
    made = Config()
    made.set_main_option("script_location", "app:migrations")
    made.set_main_option("path_separator", "os")
    return made


def head() -> str:
    """The newest revision of this code."""
    found = ScriptDirectory.from_config(config()).get_current_head()
    assert found is not None  # noqa: S101 - the chain is not empty
    return found


async def run(url: str, work: Callable[[Connection], str]) -> str:
    """Do `work` on one connection. Raises StartError if there is none to be had."""

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(url, timeout=10, server_settings={"application_name": "gad-migrate"})

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, poolclass=NullPool, hide_parameters=True
    )
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    except ssl.SSLCertVerificationError as error:
        raise StartError(
            f"GAD_MIGRATION_URL: PostgreSQL's certificate is refused: {error.verify_message}",
            remedy="correct host, sslrootcert or the server's certificate",
        ) from error
    except OSError as error:
        raise StartError(
            f"GAD_MIGRATION_URL: PostgreSQL does not answer ({type(error).__name__})",
            remedy="start PostgreSQL, or correct host and port",
        ) from error
    except DBAPIError as error:
        if str(getattr(error.orig, "sqlstate", "")).startswith("28"):  # invalid authorization
            raise StartError(
                "GAD_MIGRATION_URL: PostgreSQL refuses its user or password", remedy="correct the secret"
            ) from error
        raise
    finally:
        await engine.dispose()


def current_revision(connection: Connection) -> str:
    """The revision the database is at; `base` if it is empty."""
    return MigrationContext.configure(connection).get_current_revision() or BASE


@dataclass(frozen=True)
class Standing:
    """Where a schema is, beside this code. Ordinals as in `app.migrations`; 0 where nothing is written."""

    revision: str
    ordinal: int
    min_ordinal: int
    is_known: bool
    """Whether the revision is a step of this code's chain."""

    @property
    def is_newer(self) -> bool:
        """Whether a later release than this one made it: an older image is released, or rolled back to."""
        return self.revision != BASE and (not self.is_known or self.ordinal > ORDINAL)

    @property
    def sentence(self) -> str:
        """For a newer schema that this code fits."""
        return f"schema is at {self.revision}, newer than this code, which still fits it"

    def misfit(self) -> StartError | None:
        """Why this code can not work on a newer schema; None if it can."""
        if not self.is_newer or self.min_ordinal <= ORDINAL <= self.ordinal:
            return None
        if self.min_ordinal > ORDINAL:
            return StartError(
                f"the schema is past a contract step (at {self.revision}): this code no longer fits it",
                remedy=f"release a version whose schema ordinal is at least {self.min_ordinal}",
            )
        return StartError(
            f"the schema is at {self.revision}, which is no step of this code",
            remedy="release the version that made this schema, or a later one",
        )


def standing(connection: Connection) -> Standing:
    """Read where the schema is, whoever made it."""
    revision = current_revision(connection)
    # A foreign database may have a revision and not this table.
    is_ours = connection.scalar(text("SELECT to_regclass('schema_info') IS NOT NULL"))
    found = (
        connection.execute(text("SELECT ordinal, min_ordinal FROM schema_info")).first() if is_ours else None
    )
    chain = {each.revision for each in ScriptDirectory.from_config(config()).walk_revisions()}
    ordinal, min_ordinal = found or (0, 0)
    return Standing(revision, ordinal, min_ordinal, revision in chain)


def _fitting(connection: Connection) -> Standing:
    """The same. Raises StartError if it is newer and this code does not fit it."""
    found = standing(connection)
    misfit = found.misfit()
    if misfit is not None:
        raise misfit
    return found


def upgrade(connection: Connection) -> str:
    """Bring the schema to head; safe beside another migrator. A newer one that this code fits stays as it is.

    Raises StartError on a held lock, and if this code does not fit the schema.
    """
    try:
        _wait_for_others(connection)
        connection.execute(text(f"SET lock_timeout = '{LOCK_S}s'"))
        connection.commit()
        before = _fitting(connection)
        connection.commit()
        if before.is_newer:
            return before.sentence
        made = config()
        made.attributes["connection"] = connection
        command.upgrade(made, "head")
        connection.commit()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == "55P03":
            raise StartError(
                f"a lock was not free within {LOCK_S} s",
                remedy="run it again when the long transaction has ended; finished steps stay",
            ) from error
        raise
    return f"schema was at {before.revision}, is at {head()}"


def _wait_for_others(connection: Connection) -> None:
    """Asked again and again: a session that waits inside a statement would hold up CREATE INDEX CONCURRENTLY.

    The lock is freed with the connection. Raises StartError after WAIT_OTHER_S.
    """
    until = time.monotonic() + WAIT_OTHER_S
    while not connection.scalar(text(f"SELECT pg_try_advisory_lock({ADVISORY_LOCK})")):
        connection.commit()
        if time.monotonic() > until:
            raise StartError(
                f"another migrator has been at work for {WAIT_OTHER_S} s",
                remedy="look at its log; run this again when it has ended",
            )
        time.sleep(POLL_S)
    connection.commit()


def show_current(connection: Connection) -> str:
    """Revision, and what the code wants."""
    found = standing(connection)
    misfit = found.misfit()
    if found.is_newer and misfit is None:
        return found.sentence
    at = f"schema is at {found.revision}"
    at += " (head)" if found.revision == head() else f", this code is at {head()}"
    return at if misfit is None else f"{at}: {misfit.fact}"


def pending(connection: Connection) -> str:
    """What an upgrade would do: `none`, `first` (all of them), or `pending REVISION,…` and their SQL.

    Raises StartError if this code does not fit the schema.
    """
    found = _fitting(connection)
    if found.revision == BASE:
        return "first"
    if found.is_newer or found.revision == head():
        return "none"
    steps = ScriptDirectory.from_config(config()).iterate_revisions(head(), found.revision)
    names = ",".join(reversed([step.revision for step in steps]))
    sql = io.StringIO()
    made = config()
    made.output_buffer = sql
    command.upgrade(made, f"{found.revision}:head", sql=True)
    return f"pending {names}\n{sql.getvalue().rstrip()}"


def check(connection: Connection) -> str:
    """Raises Different unless the schema is at head and equals the models."""
    revision = current_revision(connection)
    if revision != head():
        # A newer one that this code fits is different too: nobody can compare it with these models.
        raise Different(show_current(connection))
    context = MigrationContext.configure(connection, opts={"include_object": _is_ours})
    differences = autogenerate.compare_metadata(context, METADATA)
    if differences:
        raise Different("schema and models differ: " + "; ".join(str(each) for each in differences))
    return f"schema is at {revision} (head) and equals the models"


def _is_ours(thing: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
    del thing, other
    return not (kind == "table" and reflected and name in {"spatial_ref_sys"})  # PostGIS's own


class Different(Exception):
    """The schema is not what this code describes."""


COMMANDS = {"upgrade": upgrade, "current": show_current, "check": check, "pending": pending}


def main(arguments: list[str]) -> int:
    """Exit code 0 as wanted, 1 failed, 2 usage or settings, 3 the schema differs."""
    parser = argparse.ArgumentParser(prog="python -m app.migrate", description=__doc__)
    parser.add_argument("command", choices=[*COMMANDS, "sql"])
    chosen = parser.parse_args(arguments).command
    try:
        if chosen == "sql":
            command.upgrade(config(), "head", sql=True)
            return 0
        try:
            settings = load(MigrationSettings)
        except StartError as error:
            print(error, file=sys.stderr)
            return 2
        logs.configure("WARNING")
        print(asyncio.run(run(settings.migration_url.get_secret_value(), COMMANDS[chosen])))
    except Different as difference:
        print(difference)
        return DIFFERENT
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
