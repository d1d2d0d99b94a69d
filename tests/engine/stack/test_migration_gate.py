"""From the backup to the migration on a real stack: what is dangerous is refused before anything changes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from infra.steps.gate import TRIES, ask, lint, migrate
from infra.steps.rehearsal import rehearse
from tests.engine.stack.checkout import STACK, Checkout, Ran
from tests.engine.stack.migration_gate import REVISION, Gate, start, until

EXPANDS = "ALTER TABLE tasks ADD COLUMN trial_remarks text"
SIZE = 64 * 1024**2


@pytest.fixture(scope="module")
def gate(checkout: Checkout, client: docker.DockerClient) -> Gate:
    checkout.gad("demo", STACK, "--count", "10").succeeded()
    return Gate(checkout, client)


@pytest.fixture(autouse=True)
def untouched(gate: Gate) -> Iterator[None]:
    """The stack is what it was, its schema too, and nothing of a rehearsal is left."""
    before = (gate.real(), gate.sql("SELECT version_num FROM alembic_version"))
    yield
    assert gate.left() == []
    assert (gate.real(), gate.sql("SELECT version_num FROM alembic_version")) == before


@pytest.fixture(scope="module")
def dump(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a backup said."""
    return succeeded(gate.backup(tmp_path_factory.mktemp("backup")))


@pytest.fixture
def undone(gate: Gate) -> Iterator[None]:
    """What a step of a test did to the real schema is taken back."""
    revision = gate.sql("SELECT version_num FROM alembic_version")
    yield
    gate.sql("ALTER TABLE tasks DROP COLUMN IF EXISTS trial_remarks")
    gate.sql(f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder with little space."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def succeeded(ran: Ran) -> str:
    assert (ran.code, ran.err) == (0, ""), ran
    return ran.out


def refused(ran: Ran, code: int = 1) -> str:
    """The sentence; a remedy follows it."""
    assert ran.code == code, ran
    lines = ran.err.splitlines()
    assert lines[0].startswith("error: "), ran
    assert lines[1].startswith("remedy: "), ran
    return lines[0].removeprefix("error: ")


def rehearsed(gate: Gate, image: str, dump: str, *, limit_s: int = 60) -> Ran:
    script = rehearse(gate.migrator(image), gate.scratch, limit_s=limit_s)
    return gate.sh(script, f"pending {REVISION}\n{dump}")


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_dump_is_proven_closed_and_the_newest_three_stay(gate: Gate, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "for it"
    said = [succeeded(gate.backup(folder, image=digit * 64)) for digit in "abcd"]
    kept = [Path(re.sub(r" \d+ \d+\n$", "", each)) for each in said[1:]]
    assert files(folder) == sorted(n for each in kept for n in (each.name, f"{each.name}.sha256"))
    assert [each.name.partition("-")[2] for each in kept] == [f"{d * 12}.dump" for d in "bcd"]
    assert folder.stat().st_mode & 0o777 == 0o700
    for each, line in zip(kept, said[1:], strict=True):
        assert int(line.split()[-2]) == each.stat().st_size
        assert each.with_name(f"{each.name}.sha256").read_text() == (
            f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n"
        )


def test_a_dump_that_is_cut_off_leaves_nothing(gate: Gate, tmp_path: Path) -> None:
    gate.sql("CREATE TABLE trial_lock (id int)")
    try:
        with (
            gate.holding("LOCK TABLE trial_lock IN ACCESS EXCLUSIVE MODE"),
            ThreadPoolExecutor() as runner,
        ):
            running = runner.submit(gate.backup, tmp_path)
            gate.end("pg_dump")
            assert refused(running.result()).startswith("backup: the dump failed: ")
    finally:
        gate.sql("DROP TABLE trial_lock")
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "kept", ["head -c 60000", "head -c 5000", "head -c 0"], ids=["rows", "contents", "all"]
)
def test_a_dump_that_lacks_its_end_is_found(gate: Gate, tmp_path: Path, kept: str) -> None:
    """What pg_dump wrote is cut off on its way, and everybody says that all went well."""
    (tmp_path / "bin").mkdir()
    lossy = tmp_path / "bin" / "docker"
    real = shutil.which("docker")
    lossy.write_text(
        f'#!/bin/sh\ncase " $* " in *" pg_dump "*) {real} "$@" | {kept} ;; *) exec {real} "$@" ;; esac\n'
    )
    lossy.chmod(0o755)
    said = refused(gate.backup(tmp_path / "backup", first=tmp_path / "bin"))
    assert said.startswith("backup: the dump cannot be read")
    assert files(tmp_path / "backup") == []


def test_a_disk_that_is_too_small_is_named_before(gate: Gate, small: Path) -> None:
    (small / "filling").write_bytes(bytes(SIZE - 4 * 1024**2))
    said = refused(gate.backup(small / "backup"))
    assert re.fullmatch(rf"backup: the database has \d+ MiB, {small}/backup has [34] MiB free", said)
    assert files(small / "backup") == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(gate: Gate, small: Path) -> None:
    gate.sql("CREATE TABLE trial_lock (id int)")
    folder = small / "backup"
    try:
        with ThreadPoolExecutor() as runner:
            with gate.holding("LOCK TABLE trial_lock IN ACCESS EXCLUSIVE MODE"):
                running = runner.submit(gate.backup, folder)
                waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'"
                until("pg_dump is at work", lambda: gate.sql(waits) == "1")
                with pytest.raises(OSError, match="No space left"):
                    (small / "filling").write_bytes(bytes(2 * SIZE))
            assert refused(running.result()).startswith("backup: the dump")
    finally:
        gate.sql("DROP TABLE trial_lock")
    assert files(folder) == []


def test_a_database_of_nobody_is_refused(gate: Gate, tmp_path: Path) -> None:
    gate.sql("ALTER TABLE alembic_version RENAME TO trial_version")
    try:
        said = refused(gate.backup(tmp_path))
    finally:
        gate.sql("ALTER TABLE trial_version RENAME TO alembic_version")
    assert said == "backup: the dump lacks the rows of public.alembic_version"
    assert files(tmp_path) == []


def test_a_step_is_tried_on_all_rows_and_the_version_before_works_on_it(gate: Gate, dump: str) -> None:
    officers = int(gate.sql("SELECT count(*) FROM officers"))
    assert officers >= 10
    counted = (
        f"DO $$ BEGIN IF (SELECT count(*) FROM officers) <> {officers} THEN "  # noqa: S608
        "RAISE EXCEPTION 'rows are missing'; END IF; END $$"
    )
    with gate.image(EXPANDS, counted) as image:
        said = succeeded(rehearsed(gate, image, dump))
    assert re.fullmatch(
        rf"rehearsed {REVISION} in \d+ s on a copy of \d+ MiB; the version before works on it\n", said
    )


def test_what_was_migrated_is_not_rehearsed_again(gate: Gate) -> None:
    revision = gate.sql("SELECT version_num FROM alembic_version")
    script = rehearse(gate.migrator("app"), gate.scratch)
    said = succeeded(gate.sh(script, f"pending 0001,{revision}\n/gone.dump 1 1\n"))
    assert said == f"not rehearsed: the schema is at {revision} already\n"


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]


@pytest.mark.parametrize(
    ("damage", "summed", "sentence"),
    [
        (halved, [], "is not what it was when it was taken"),
        (flipped, [], "is not what it was when it was taken"),
        (halved, [halved], "the dump cannot be restored: "),
    ],
    ids=["cut-short", "one-bit", "cut-short-with-its-sum"],
)
def test_a_dump_that_was_damaged_later_is_found(
    gate: Gate,
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
    summed: list[Callable[[bytes], bytes]],
    sentence: str,
) -> None:
    said = succeeded(gate.backup(tmp_path))
    path = Path(re.sub(r" \d+ \d+\n$", "", said))
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(damage(content))
    for each in summed:
        line = f"{hashlib.sha256(each(content)).hexdigest()}  {path.name}\n"
        path.with_name(f"{path.name}.sha256").write_text(line)
    with gate.image(EXPANDS) as image:
        assert sentence in refused(rehearsed(gate, image, said))


def test_a_column_that_the_version_before_uses_is_not_dropped(gate: Gate) -> None:
    with gate.image("ALTER TABLE tasks DROP COLUMN notes") as image:
        asked = succeeded(gate.sh(ask(gate.migrator(image)), ""))
    assert asked.splitlines()[0] == f"pending {REVISION}"
    said = refused(gate.sh(lint(STACK, contract=None), asked), 4)
    assert "ALTER TABLE tasks DROP COLUMN notes; (ban-drop-column: " in said
    refused(
        gate.sh(lint(STACK, contract=REVISION), asked), 4
    )  # approved, and still not marked as a contract step


def test_an_approved_contract_step_passes_and_no_other(gate: Gate) -> None:
    contracts = ("UPDATE schema_info SET min_ordinal = min_ordinal", "ALTER TABLE tasks DROP COLUMN notes")
    with gate.image(*contracts) as image:
        asked = succeeded(gate.sh(ask(gate.migrator(image)), ""))
    assert "no statements refused" in succeeded(gate.sh(lint(STACK, contract=REVISION), asked))
    refused(gate.sh(lint(STACK, contract="0008"), asked), 4)


@pytest.mark.parametrize(
    "statements",
    [
        ("ALTER TABLE users ADD CONSTRAINT trial_check CHECK (email::text LIKE '%.gob.ec') NOT VALID",),
        (
            "CREATE FUNCTION trial() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'nobody comes in'; END $$",
            "CREATE TRIGGER trial BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION trial()",
        ),
    ],
    ids=["a-check-for-new-rows", "a-trigger"],
)
def test_what_no_rule_sees_the_version_before_does(
    gate: Gate, dump: str, statements: tuple[str, ...]
) -> None:
    with gate.image(*statements) as image:
        asked = succeeded(gate.sh(ask(gate.migrator(image)), ""))
        assert "no statements refused" in succeeded(gate.sh(lint(STACK, contract=None), asked))
        said = refused(rehearsed(gate, image, dump))
    assert said.startswith("the version before does not work on the new schema: ")


def test_a_mistake_in_the_middle_is_found_on_the_copy(gate: Gate, dump: str) -> None:
    with gate.image(EXPANDS, "ALTER TABLE tasks ADD COLUM trial text") as image:
        said = refused(rehearsed(gate, image, dump))
    assert said == 'rehearsal: syntax error at or near "text"'


def test_a_slow_backfill_is_ended_at_its_limit(gate: Gate, dump: str) -> None:
    with gate.image("SELECT pg_sleep(60)") as image:
        said = refused(rehearsed(gate, image, dump, limit_s=3))
    assert said == "rehearsal: the migration takes longer than 3 s on a copy of the data"


def test_a_long_reader_is_not_pushed_and_the_step_comes_after_it(gate: Gate, undone: None) -> None:
    with gate.image(EXPANDS) as image, ThreadPoolExecutor() as runner:
        with gate.holding("SELECT count(*) FROM tasks"):
            running = runner.submit(gate.sh, migrate(gate.migrator(image)), f"pending {REVISION}\nkey\n")
            gone = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gad-migrate'"
            until("the first try", lambda: gate.sql(gone) == "1")
            until("its end", lambda: gate.sql(gone) == "0", deadline_s=10)
        said = succeeded(running.result())
    assert said.startswith("a lock was held: try 1 of 5\n")
    assert said.splitlines()[-1].endswith(f"is at {REVISION}")
    assert gate.sql("SELECT count(*) FROM pg_attribute WHERE attname = 'trial_remarks'") == "1"


def test_a_reader_that_stays_wins(gate: Gate) -> None:
    with gate.image(EXPANDS) as image, gate.holding("SELECT count(*) FROM tasks"):
        ran = gate.sh(migrate(gate.migrator(image)), f"pending {REVISION}\nkey\n")
    assert refused(ran) == "a lock was not free within 1 s"
    assert ran.out.count("a lock was held") == TRIES - 1


def test_two_migrators_at_once_do_it_once(gate: Gate, undone: None) -> None:
    with gate.image(EXPANDS, "SELECT pg_sleep(1)") as image, ThreadPoolExecutor() as runner:
        migrator = gate.migrator(image)
        other = gate.names.container("db-trial")
        both = [
            runner.submit(gate.sh, migrate(migrator), f"pending {REVISION}\nkey\n"),
            runner.submit(
                gate.sh, migrate(migrator).replace(gate.names.container("migration"), other), "first\n"
            ),
        ]
        said = sorted(succeeded(each.result()).strip() for each in both)
    assert [f"is at {REVISION}" in each for each in said] == [True, True]
    assert [f"was at {REVISION}" in each for each in said] == [False, True]


def test_a_killed_rehearsal_is_cleared_by_the_next(gate: Gate, dump: str) -> None:
    with gate.image("SELECT pg_sleep(60)") as image:
        script = rehearse(gate.migrator(image), gate.scratch)
        with start(script, f"pending {REVISION}\n{dump}", gate.checkout.root) as process:
            until("a migration of the copy", lambda: any("scratch-migration" in each for each in gate.left()))
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        copies = gate.copies()
        assert len(copies) == 2
    with gate.image(EXPANDS) as image:
        assert "works on it" in succeeded(rehearsed(gate, image, dump))
    assert copies & gate.volumes() == set()


def test_what_a_killed_rehearsal_left_is_removed_by_an_update(gate: Gate) -> None:
    labels = dict(gate.names.labels("scratch", "personal"))
    made = gate.client.networks.create(gate.names.network("scratch"), internal=True, labels=labels)
    gate.client.containers.create(
        gate.scratch.redis.image, name=gate.names.container("scratch-redis"), network=made.name, labels=labels
    )
    copies = gate.copies()
    assert (len(gate.left()), len(copies)) == (2, 1)
    said = gate.checkout.gad("up", STACK, "--no-verify").succeeded().err
    assert f"removing container {gate.names.container('scratch-redis')}" in said
    assert copies & gate.volumes() == set()
