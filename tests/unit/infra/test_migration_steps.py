"""The scripts from the backup to the migration, as any POSIX shell of a server takes them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from infra.components import api, postgres, redis
from infra.migrator import SECRETS
from infra.names import Names
from infra.steps.backup import backup
from infra.steps.failure import FAILURE
from infra.steps.gate import Migrator, ask, lint, migrate
from infra.steps.rehearsal import ELSEWHERE, UIDS, Before, Scratch, StoreCopy, rehearse

ROOT = Path(__file__).resolve().parents[3]
NAMES = Names(stack="dev", prefix="gad-dev")
MIGRATOR = Migrator(
    names=NAMES,
    image="reg/app@sha256:new",
    envs={"GAD_MIGRATION_URL_FILE": f"{SECRETS}/migration_url"},
    secrets_dir="/srv/secrets/migration",
    hosts={},
)
BEFORE = Before(
    image="reg/app@sha256:old",
    envs={
        "GAD_ENV": "dev",
        "GAD_TZ": "America/Guayaquil",
        "GAD_DATABASE_URL_FILE": f"{SECRETS}/database_url",
    },
    secrets_dir="/srv/secrets/api",
    memory_mib=256,
)


def store(role: str) -> StoreCopy:
    return StoreCopy(
        image=f"reg/{role}@sha256:it",
        config_dir=f"/srv/config/{role}",
        secrets_dir=f"/srv/secrets/{role}",
        memory_mib=512,
    )


def scratch(before: Before | None = BEFORE) -> Scratch:
    return Scratch(subnet="10.77.3.0/24", postgres=store("postgres"), redis=store("redis"), before=before)


SCRIPTS = {
    "backup": backup(container="gad-dev-postgres", directory="/srv/a b/backup", keep=3),
    "gate": ask(MIGRATOR),
    "lint": lint("dev", contract=None),
    "lint-contract": lint("dev", contract="0009"),
    "rehearsal": rehearse(MIGRATOR, scratch()),
    "rehearsal-first": rehearse(MIGRATOR, scratch(None)),
    "rehearsal-elsewhere": ELSEWHERE,
    "run": migrate(MIGRATOR),
}
# What dash does not know, or knows in another way than bash.
BASHISMS = re.compile(
    r"\[\[ |\s==\s|<\(|<<<|&>|=\$'|pipefail|\bread -[a-qs-z]|\becho -[ne]\b"
    r"|^\s*(?:local|function|source|declare)\b",
    re.MULTILINE,
)


def run(script: str, stdin: str, *, cwd: Path = ROOT, path: str = "/usr/bin:/bin") -> tuple[int, str, str]:
    """As the command's provider runs it, on a machine without Docker unless `path` says otherwise."""
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        input=stdin,
        cwd=cwd,
        env={"PATH": path, "LC_ALL": "C.UTF-8"},
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH with the tools of a script and no `docker`: whoever calls it fails."""
    folder = tmp_path_factory.mktemp("bin")
    for tool in ("sed", "head", "tail", "date", "cat", "tr", "rm", "mkdir", "chmod"):
        (folder / tool).symlink_to(f"/usr/bin/{tool}")
    return str(folder)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_is_posix(name: str) -> None:
    checked = subprocess.run(
        ["/bin/sh", "-n"], input=SCRIPTS[name], text=True, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert BASHISMS.findall(SCRIPTS[name]) == []


def test_the_search_for_bashisms_finds_some() -> None:
    assert len(BASHISMS.findall("local a; [[ $a == b ]] && read -a c <<< d; set -o pipefail")) == 6


@pytest.mark.parametrize("name", ["lint", "rehearsal"])
@pytest.mark.parametrize("answer", ["none", "first"])
def test_with_nothing_to_do_nothing_is_started(name: str, answer: str, bare: str) -> None:
    code, out, err = run(SCRIPTS[name], f"{answer}\n", path=bare)
    assert (code, err) == (0, "")
    assert answer in out


def test_a_schema_that_is_right_starts_no_migration(bare: str) -> None:
    assert run(SCRIPTS["run"], "none\nkey\n", path=bare) == (0, "nothing to migrate\n", "")


@pytest.mark.parametrize("name", ["lint", "rehearsal"])
@pytest.mark.parametrize(
    ("answer", "quoted"), [('{"level":"warning"}', '{"level":"warning"}'), ("", "nothing")]
)
def test_an_answer_that_nobody_knows_is_refused(name: str, answer: str, quoted: str, bare: str) -> None:
    code, out, err = run(SCRIPTS[name], f"{answer}\nnone\n", path=bare)
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == f"error: the migration gate said: {quoted}"
    assert err.splitlines()[1].startswith("remedy: ")


def test_a_backup_for_no_image_is_refused(bare: str) -> None:
    code, out, err = run(SCRIPTS["backup"], "reg/app:latest\n", path=bare)
    assert (code, out) == (1, "")
    assert err.startswith("error: backup: its input names no image by digest\nremedy: ")


def test_a_backup_without_docker_says_so_and_leaves_nothing(bare: str, tmp_path: Path) -> None:
    (tmp_path / "old.dump.part").write_text("of a killed run")
    script = backup(container="gad-dev-postgres", directory=str(tmp_path), keep=3)
    code, out, err = run(script, f"reg/app@sha256:{'0' * 64}", path=bare)
    assert (code, out) == (1, "")
    assert err.startswith("error: backup: PostgreSQL does not answer: ")
    assert err.splitlines()[1].startswith("remedy: ")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("said", "reason", "remedy"),
    [
        (
            "error: a lock was not free within 1 s\nremedy: run it again",
            "a lock was not free within 1 s",
            "run it again",
        ),
        (
            "Traceback (most recent call last):\n  File …\n"
            "sqlalchemy.exc.ProgrammingError: (sqlalchemy.dialects.postgresql.asyncpg.ProgrammingError) "
            "<class 'asyncpg.exceptions.PostgresSyntaxError'>: syntax error at or near \"COLUM\"\n"
            "[SQL: ALTER TABLE tasks ADD COLUM a text]\n"
            "(Background on this error at: https://sqlalche.me/e/20/f405)",
            'syntax error at or near "COLUM"',
            "correct it",
        ),
        (
            "sqlalchemy.exc.DBAPIError: (sqlalchemy.dialects.postgresql.asyncpg.Error) rows are lost\n[SQL]",
            "rows are lost",
            "correct it",
        ),
        ("pg_dump: error: connection failed\n\n", "connection failed", "correct it"),
        (
            "Error response from daemon: No such container: x",
            "Error response from daemon: No such container: x",
            "correct it",
        ),
        ("", "it ended without a word", "correct it"),
    ],
    ids=["ours", "a-traceback", "another", "of-postgresql", "of-docker", "silent"],
)
def test_a_failure_is_one_sentence(said: str, reason: str, remedy: str) -> None:
    script = f'{FAILURE}said=$(cat)\nfail "$(reason "$said")" "$(remedy "$said" "correct it")" "$said"'
    code, out, err = run(script, said)
    assert (code, out) == (1, "")
    assert err.splitlines()[:2] == [f"error: {reason}", f"remedy: {remedy}"]
    assert err.endswith(said.rstrip() + "\n" * bool(said))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the project's, whose `bin/gad` is this checkout's with this test's interpreter."""
    root = tmp_path_factory.mktemp("project")
    (root / "bin").mkdir()
    (root / "infra").mkdir()
    gad = root / "bin" / "gad"
    words = shlex.join(["env", f"PYTHONPATH={ROOT}", sys.executable, "-P", "-m", "infra.cli"])
    gad.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    gad.chmod(0o755)
    return root


@pytest.mark.parametrize("folder", [".", "infra"])
def test_a_safe_step_passes(project: Path, folder: str) -> None:
    answer = "pending 0009\n" + step("ALTER TABLE tasks ADD COLUMN remarks text")
    code, out, err = run(SCRIPTS["lint"], answer, cwd=project / folder)
    assert (code, err) == (0, "")
    assert out == "no statements refused\n"


def test_a_refusal_is_the_first_line_with_its_recipe(project: Path) -> None:
    answer = "pending 0009\n" + step("DROP INDEX x", "ALTER TABLE tasks DROP COLUMN notes")
    code, out, err = run(SCRIPTS["lint"], answer, cwd=project)
    assert code == 4
    assert "2 statements refused" in out
    first, second = err.splitlines()
    assert first.startswith("error: 0008 -> 0009, line 5: DROP INDEX x; (require-concurrent-index-deletion: ")
    assert first.endswith(", and 1 more")
    assert second == "remedy: say CONCURRENTLY, inside `with op.get_context().autocommit_block():`"


@pytest.mark.parametrize(("revision", "code"), [("0009", 0), ("0008", 4), ("00", 4)])
def test_only_the_approved_step_may_take_away(project: Path, revision: str, code: int) -> None:
    taken = step("UPDATE schema_info SET ordinal = 9, min_ordinal = 8", "ALTER TABLE tasks DROP COLUMN notes")
    assert run(lint("dev", contract=revision), f"pending 0009\n{taken}", cwd=project)[0] == code


def step(*statements: str) -> str:
    body = ";\n\n".join(statements)
    return f"BEGIN;\n\n-- Running upgrade 0008 -> 0009\n\n{body};\n\nCOMMIT;\n"


def words_of(script: str, beginning: str) -> list[str]:
    (line,) = [line for line in script.splitlines() if line.startswith(beginning)]
    return shlex.split(line.removeprefix(beginning))


CREATED = {
    "postgres": "start PostgreSQL ",
    "redis": "start Redis ",
    "migration": "make 'the migration' ",
    "api": "start 'the version before' ",
}


@pytest.mark.parametrize(("role", "beginning"), CREATED.items())
def test_what_a_rehearsal_starts_is_confined_and_known_by_its_labels(role: str, beginning: str) -> None:
    words = words_of(SCRIPTS["rehearsal"], beginning)
    assert {
        f"--name=gad-dev-scratch-{role}",
        "--network=gad-dev-scratch",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges:true",
        "--label=gad.prefix=gad-dev",
        "--label=gad.role=scratch",
        "--label=gad.stack=dev",
    } <= set(words)
    options = [word.partition("=")[0] for word in words]
    assert {"--memory", "--memory-swap", "--pids-limit", "--cpus"} <= set(options)
    assert {"--publish", "-p", "--volume", "-v", "--privileged"} & set(options) == set()
    # Only what is made for the copy can be written: a tmpfs, and the volume without a name of the image.
    mounts = [word for word in words if word.startswith("--mount")]
    assert [mount for mount in mounts if not mount.endswith(",readonly")] == []
    assert "type=volume" not in " ".join(mounts)


def test_each_writes_as_its_image_does() -> None:
    assert UIDS == {"postgres": postgres.UID, "redis": redis.UID, "api": api.UID}
    for role in UIDS:
        words = words_of(SCRIPTS["rehearsal"], CREATED[role])
        (options,) = [word for word in words if word.startswith("--tmpfs=/tmp:")]
        assert options.endswith(f"mode=0700,uid={UIDS[role]},gid={UIDS[role]}")


def test_the_copy_leads_nowhere_and_has_addresses_of_the_stack() -> None:
    assert "docker network create --internal --subnet=10.77.3.0/24 " in SCRIPTS["rehearsal"]


def test_the_version_before_leads_nothing_and_keeps_its_settings() -> None:
    words = words_of(SCRIPTS["rehearsal"], CREATED["api"])
    assert [word.removeprefix("--env=") for word in words if word.startswith("--env=")] == [
        "GAD_DATABASE_URL_FILE=/run/gad/secrets/database_url",  # pragma: allowlist secret
        "GAD_ENV=dev",
        "GAD_LIVE_SLOT_FILE=/run/gad/release/live",
        "GAD_PORT=8000",
        "GAD_PRIVATE_PORT=9000",
        "GAD_SLOT=scratch",
        "GAD_TZ=America/Guayaquil",
    ]
    assert words[-1] == "reg/app@sha256:old"
    assert [word for word in words if "/run/gad/release" in word and word.startswith("--mount")] == []


def test_without_a_version_before_none_is_tried() -> None:
    assert "app.smoke" in SCRIPTS["rehearsal"]
    assert "app.smoke" not in SCRIPTS["rehearsal-first"]


def test_the_migration_runs_as_the_gate_asked() -> None:
    asked = words_of(SCRIPTS["gate"], "exec ")
    (tried,) = [line for line in SCRIPTS["run"].splitlines() if "docker run" in line]
    ran = shlex.split(tried.partition("$(")[2].partition(" 2>&1")[0])
    assert [word.replace("-gate", "") for word in asked[:-1]] == ran[:-1]
    assert (asked[-1], ran[-1]) == ("pending", "upgrade")
