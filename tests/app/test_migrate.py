"""The chain of migrations: from empty to head, once, by one migrator at a time."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from conftest import run_migrate
from served import environment, run
from sqlalchemy import Connection
from stores import Stores

from app import migrate
from app.errors import StartError
from app.migrations import ORDINAL
from app.officer.models import Availability
from app.user.models import Level


def fetch(stores: Stores, database: str, sql: str, role: str = "gad_app") -> list[tuple[object, ...]]:
    async def ask() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(stores.dsn(role, database))
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_from_empty_to_head_and_again(stores: Stores, new_database: Callable[[str], str]) -> None:
    name = new_database("gad_empty")
    head = migrate.head()
    assert run_migrate(stores, name, "current") == f"schema is at base, this code is at {head}"
    with pytest.raises(migrate.Different, match="at base"):
        run_migrate(stores, name, "check")

    assert run_migrate(stores, name, "upgrade") == f"schema was at base, is at {head}"
    assert run_migrate(stores, name, "upgrade") == f"schema was at {head}, is at {head}"

    assert run_migrate(stores, name, "current") == f"schema is at {head} (head)"
    assert run_migrate(stores, name, "check") == f"schema is at {head} (head) and equals the models"
    # Asked as the application: it may read what the owner made.
    assert fetch(stores, name, "SELECT ordinal >= min_ordinal, ordinal FROM schema_info") == [(True, ORDINAL)]


def test_the_chain_is_linear_and_its_ordinals_are_its_numbers() -> None:
    revisions = list(ScriptDirectory.from_config(migrate.config()).walk_revisions())
    assert [revision.revision for revision in revisions] == [f"{n:04d}" for n in range(ORDINAL, 0, -1)]
    for revision in revisions:
        text = Path(revision.path).read_text()
        assert re.search(rf"ordinal = {int(revision.revision)}\b|VALUES \({int(revision.revision)},", text)
        assert not hasattr(revision.module, "downgrade"), "a schema is never rolled back"


def test_check_names_a_difference(stores: Stores, new_database: Callable[[str], str]) -> None:
    name = new_database("gad_head")
    stores.execute("ALTER TABLE officers ADD COLUMN nickname text", database=name)
    with pytest.raises(migrate.Different, match="nickname"):
        run_migrate(stores, name, "check")


def at(stores: Stores, name: str, revision: str, ordinal: int, min_ordinal: int) -> None:
    """As a later release's steps leave it; this chain does not know them."""
    stores.execute(
        f"UPDATE alembic_version SET version_num = '{revision}'",  # noqa: S608
        f"UPDATE schema_info SET ordinal = {ordinal}, min_ordinal = {min_ordinal}",  # noqa: S608
        database=name,
    )


STILL_FITS = "newer than this code, which still fits it"


@pytest.mark.parametrize("revision", ["0099", f"{ORDINAL:04d}"], ids=["unknown", "known"])
def test_a_newer_schema_that_fits_stays_as_it_is(
    stores: Stores, new_database: Callable[[str], str], revision: str
) -> None:
    name = new_database("gad_head")
    at(stores, name, revision, ORDINAL + 2, ORDINAL)
    said = f"schema is at {revision}, {STILL_FITS}"
    assert run_migrate(stores, name, "upgrade") == said
    assert run_migrate(stores, name, "current") == said
    assert run_migrate(stores, name, "pending") == "none"
    assert fetch(stores, name, "SELECT version_num FROM alembic_version") == [(revision,)]


@pytest.mark.parametrize(
    ("ordinals", "fact", "remedy"),
    [
        (
            (ORDINAL + 3, ORDINAL + 1),
            "the schema is past a contract step (at 0099): this code no longer fits it",
            f"release a version whose schema ordinal is at least {ORDINAL + 1}",
        ),
        (
            (ORDINAL - 1, 1),
            "the schema is at 0099, which is no step of this code",
            "release the version that made this schema, or a later one",
        ),
    ],
    ids=["contracted", "foreign"],
)
def test_a_schema_that_this_code_does_not_fit_is_left_alone(
    stores: Stores, new_database: Callable[[str], str], ordinals: tuple[int, int], fact: str, remedy: str
) -> None:
    name = new_database("gad_head")
    at(stores, name, "0099", *ordinals)
    for asked in ("upgrade", "pending"):
        with pytest.raises(StartError) as refused:
            run_migrate(stores, name, asked)
        assert (refused.value.fact, refused.value.remedy) == (fact, remedy)
    said = f"schema is at 0099, this code is at {migrate.head()}: {fact}"
    assert run_migrate(stores, name, "current") == said
    with pytest.raises(migrate.Different) as differs:
        run_migrate(stores, name, "check")
    assert str(differs.value) == said


def test_a_database_of_somebody_else_is_left_alone(
    stores: Stores, new_database: Callable[[str], str]
) -> None:
    name = new_database("gad_empty")
    stores.execute(
        "CREATE TABLE alembic_version (version_num text)",
        "INSERT INTO alembic_version VALUES ('f00d')",
        "GRANT SELECT ON alembic_version TO gad_owner",
        database=name,
    )
    with pytest.raises(StartError, match="f00d, which is no step of this code"):
        run_migrate(stores, name, "upgrade")


def test_pending_is_what_an_upgrade_runs(
    stores: Stores, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    name = new_database("gad_empty")
    assert run_migrate(stores, name, "pending") == "first"
    before = [f"{ORDINAL - n:04d}" for n in (2, 1, 0)]

    async def up_to(revision: str) -> None:
        def work(connection: Connection) -> str:
            made = migrate.config()
            made.attributes["connection"] = connection
            command.upgrade(made, revision)
            connection.commit()
            return ""

        await migrate.run(stores.dsn("gad_owner", name), work)

    asyncio.run(up_to(before[0]))
    url = tmp_path / "migration_url"
    url.write_text(stores.dsn("gad_owner", name))
    env = environment(stores, tmp_path, GAD_MIGRATION_URL_FILE=str(url))
    done = run("migrate", "pending", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    first, _, sql = done.stdout.partition("\n")
    assert first == f"pending {before[1]},{before[2]}"
    steps = [f"-- Running upgrade {a} -> {b}" for a, b in pairwise(before)]
    assert re.findall(r"^-- Running .*$", sql, re.MULTILINE) == steps
    # The very lines that all steps have there.
    whole = run("migrate", "sql", env=env).stdout
    assert sql.strip() in whole

    assert run_migrate(stores, name, "upgrade") == f"schema was at {before[0]}, is at {before[2]}"
    assert run("migrate", "pending", env=env).stdout == "none\n"


def test_two_migrators_at_once_both_succeed(stores: Stores, new_database: Callable[[str], str]) -> None:
    name = new_database("gad_empty")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: run_migrate(stores, name, "upgrade"), range(2)))
    head = migrate.head()
    assert sorted(answers) == [f"schema was at {head}, is at {head}", f"schema was at base, is at {head}"]


def test_a_held_lock_is_named_and_does_not_block_readers(
    stores: Stores, new_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = new_database("gad_head")
    stores.execute(
        "UPDATE alembic_version SET version_num = '0001'", "DROP TABLE officers CASCADE", database=name
    )
    monkeypatch.setattr(migrate, "LOCK_S", 0.2)

    async def blocked() -> None:
        holder = await asyncpg.connect(stores.dsn("postgres", name))
        try:
            async with holder.transaction():
                await holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
                await migrate.run(stores.dsn("gad_owner", name), migrate.upgrade)
        finally:
            await holder.close()

    with pytest.raises(StartError, match="a lock was not free"):
        asyncio.run(blocked())


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("users_level_check", [str(level.value) for level in Level]),
        ("officers_availability_check", [each.value for each in Availability]),
    ],
)
def test_checks_hold_exactly_the_values_of_the_enum(
    stores: Stores, constraint: str, values: list[str]
) -> None:
    sql = f"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '{constraint}'"  # noqa: S608
    (definition,) = fetch(stores, "gad", sql)[0]
    assert re.findall(r"\b(\d+|[a-z_]+)\b(?='|,|\])", str(definition).replace("::text", "")) == values


@pytest.mark.parametrize(
    ("column", "table"),
    [("email", "users"), ("dni_hmac", "users"), ("telegram_id", "users"), ("user_id", "officers")],
)
def test_uniqueness_is_among_live_rows(stores: Stores, column: str, table: str) -> None:
    sql = f"SELECT indexdef FROM pg_indexes WHERE indexname = '{table}_{column}_key'"  # noqa: S608
    (definition,) = fetch(stores, "gad", sql)[0]
    assert "UNIQUE" in str(definition)
    assert str(definition).endswith("WHERE (deleted_at IS NULL)")


def test_a_position_comes_with_its_moment(stores: Stores, new_database: Callable[[str], str]) -> None:
    name = new_database("gad_head")
    person = (
        "INSERT INTO users (email, first_name, last_name, level, password_hash, dni_enc)"
        " VALUES ('a@b.example', 'A', 'B', 1, '!', '')"
    )
    half = (
        "INSERT INTO officers (user_id, internal_code, last_position)"
        " SELECT id, 'X', 'POINT(0 0)'::geography FROM users"
    )
    with pytest.raises(asyncpg.CheckViolationError, match="officers_position_check"):
        stores.execute(person, half, database=name)


def test_the_application_may_not_change_the_schema(stores: Stores) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        fetch(stores, "gad", "ALTER TABLE users ADD COLUMN x int")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without GAD_ variables, as the migration's container has but for one."""
    for name in [name for name in os.environ if name.startswith("GAD_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_the_command_takes_its_url_from_a_file(stores: Stores, tmp_path: Path) -> None:
    url = tmp_path / "migration_url"
    url.write_text(stores.dsn("gad_owner") + "\n")
    done = run("migrate", "upgrade", env=environment(stores, tmp_path, GAD_MIGRATION_URL_FILE=str(url)))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"schema was at {migrate.head()}, is at {migrate.head()}\n"


@pytest.mark.parametrize(
    "case",
    [
        ("gad_head", "current", 0),
        ("gad_head", "check", 0),
        ("gad_empty", "current", 0),
        ("gad_empty", "check", 3),
        ("gad_empty", "pending", 0),
    ],
)
def test_exit_codes(
    stores: Stores,
    new_database: Callable[[str], str],
    told: pytest.MonkeyPatch,
    case: tuple[str, str, int],
) -> None:
    template, asked, code = case
    told.setenv("GAD_MIGRATION_URL", stores.dsn("gad_owner", new_database(template)))
    assert migrate.main([asked]) == code


def test_a_newer_schema_differs_without_a_traceback(
    stores: Stores,
    new_database: Callable[[str], str],
    told: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = new_database("gad_head")
    told.setenv("GAD_MIGRATION_URL", stores.dsn("gad_app", name))  # as `gad verify` asks it in a slot
    at(stores, name, "0099", ORDINAL + 1, ORDINAL)
    assert migrate.main(["check"]) == 3
    assert capsys.readouterr().out == f"schema is at 0099, {STILL_FITS}\n"
    at(stores, name, "0099", ORDINAL + 1, ORDINAL + 1)
    assert migrate.main(["upgrade"]) == 1
    assert capsys.readouterr().err.startswith("error: the schema is past a contract step")


STRANGER = "gad_owner:wrong-word"


@pytest.mark.parametrize(
    "case",
    [
        (
            f"postgresql://{STRANGER}@{{host}}/gad",
            "refuses its user or password",
            1,
        ),
        (f"postgresql://{STRANGER}@127.0.0.1:1/gad", "does not answer", 1),
        (f"mysql://{STRANGER}@127.0.0.1/gad", "must start with postgresql://", 2),
    ],
)
def test_a_wrong_url_is_one_sentence_without_the_password(
    stores: Stores, told: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: tuple[str, str, int]
) -> None:
    url, fact, code = case
    told.setenv("GAD_MIGRATION_URL", url.format(host=f"127.0.0.1:{stores.postgres_port}"))
    assert migrate.main(["upgrade"]) == code
    out = capsys.readouterr()
    assert fact in out.err
    assert len(out.err.splitlines()) == 2
    assert "wrong-word" not in out.err + out.out


def test_sql_needs_no_database(told: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate.main(["sql"]) == 0
    assert "CREATE TABLE officers" in capsys.readouterr().out
