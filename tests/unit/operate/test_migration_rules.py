"""What a release does not run: a labelled corpus through squawk itself, and the project's own chain."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import GadError
from infra.operate.migration_lint import lint, lint_file
from infra.operate.migration_rules import CONTRACT, RECIPES, UNASKED, Refusal, pending

ROOT = Path(__file__).resolve().parents[3]
# Each statement in a step of its own, with the rules that refuse it; none: it is safe.
CORPUS = (
    # Safe: it expands, and nobody waits.
    ("ALTER TABLE tasks ADD COLUMN remarks text", ()),
    ("ALTER TABLE tasks ADD COLUMN remarks text DEFAULT ''", ()),
    ("ALTER TABLE tasks ADD COLUMN remarks text NOT NULL DEFAULT ''", ()),
    ("ALTER TABLE tasks ALTER COLUMN notes SET DEFAULT ''", ()),
    ("ALTER TABLE tasks ADD CONSTRAINT tasks_x_check CHECK (priority > 0) NOT VALID", ()),
    ("ALTER TABLE tasks VALIDATE CONSTRAINT tasks_x_check", ()),
    ("CREATE TABLE remarks (id bigint PRIMARY KEY, task_id bigint NOT NULL)", ()),
    ("CREATE TABLE remarks (id bigint); INSERT INTO remarks SELECT id FROM tasks", ()),
    ("CREATE TABLE remarks (id bigint); CREATE INDEX remarks_id_idx ON remarks (id)", ()),
    ("INSERT INTO schema_info (ordinal) VALUES (9)", ()),
    ("UPDATE schema_info SET ordinal = 9", ()),
    (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM tasks; END $$",
        (),
    ),
    ("CREATE VIEW open_tasks AS SELECT id FROM tasks WHERE deleted_at IS NULL", ()),
    ("GRANT SELECT ON tasks TO gad_app", ()),
    ("COMMENT ON TABLE tasks IS 'UPDATE tasks; DROP TABLE tasks'", ()),
    # What the release before needs.
    ("ALTER TABLE tasks DROP COLUMN notes", ("ban-drop-column",)),
    ("DROP TABLE tasks", ("ban-drop-table",)),
    ("DROP VIEW open_tasks", ("ban-drop-view",)),
    ("DROP FUNCTION f()", ("ban-drop-function",)),
    ("DROP TRIGGER t ON tasks", ("ban-drop-trigger",)),
    ("ALTER TABLE tasks DROP CONSTRAINT tasks_code_check", ("ban-drop-constraint",)),
    ("ALTER TABLE tasks RENAME COLUMN notes TO remarks", ("renaming-column",)),
    ("ALTER TABLE tasks RENAME TO work", ("renaming-table",)),
    ("ALTER TABLE tasks ALTER COLUMN notes TYPE varchar(10)", ("changing-column-type",)),
    ("ALTER TABLE tasks ALTER COLUMN title DROP NOT NULL", ("ban-drop-not-null",)),
    ("REVOKE SELECT ON tasks FROM gad_app", ("revoking",)),
    # What people wait for, or what fails half way.
    ("ALTER TABLE tasks ADD COLUMN remarks text NOT NULL", ("adding-required-field",)),
    ("ALTER TABLE tasks ALTER COLUMN notes SET NOT NULL", ("adding-not-nullable-field",)),
    ("ALTER TABLE tasks ADD COLUMN u uuid DEFAULT gen_random_uuid()", ("adding-field-with-default",)),
    ("CREATE INDEX tasks_x_idx ON tasks (notes)", ("require-concurrent-index-creation",)),
    ("CREATE INDEX CONCURRENTLY x ON tasks (notes)", ("ban-concurrent-index-creation-in-transaction",)),
    ("DROP INDEX tasks_x_idx", ("require-concurrent-index-deletion",)),
    ("REINDEX TABLE tasks", ("require-concurrent-reindex",)),
    ("ALTER TABLE tasks ADD CONSTRAINT c CHECK (priority > 0)", ("constraint-missing-not-valid",)),
    (
        "ALTER TABLE tasks ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES users (id)",
        ("adding-foreign-key-constraint", "constraint-missing-not-valid"),
    ),
    (
        "ALTER TABLE tasks ADD CONSTRAINT u UNIQUE (code)",
        ("constraint-missing-not-valid", "disallowed-unique-constraint"),
    ),
    ("ALTER TABLE tasks SET UNLOGGED", ("locking-a-table",)),
    ("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE", ("locking-a-table",)),
    ("CLUSTER tasks USING tasks_pkey", ("locking-a-table",)),
    ("VACUUM (VERBOSE, FULL) tasks", ("locking-a-table",)),
    ("UPDATE tasks SET notes = '' WHERE notes IS NULL", ("rewriting-rows",)),
    ("DELETE FROM tasks WHERE deleted_at IS NOT NULL", ("rewriting-rows",)),
    ("TRUNCATE tasks", ("rewriting-rows",)),
    ("update tasks set notes = ''", ("rewriting-rows",)),
    ("CREATE TABLE r (id bigint); UPDATE tasks SET notes = (SELECT 'a' FROM r)", ("rewriting-rows",)),
    (
        "INSERT INTO task_metrics SELECT type, priority, count(*) FROM tasks GROUP BY 1, 2",
        ("rewriting-rows",),
    ),
    ("SET lock_timeout = 0", ("changing-timeouts",)),
    ("SET LOCAL statement_timeout = '1h'", ("changing-timeouts",)),
    ("ALTER TABLE tasks ADD COLUM remarks text", ("syntax-error",)),
)


def step(*statements: str, number: int = 9) -> str:
    body = ";\n\n".join(statements)
    return f"BEGIN;\n\n-- Running upgrade {number - 1:04d} -> {number:04d}\n\n{body};\n\nCOMMIT;\n\n"


def rules(refused: list[Refusal]) -> tuple[str, ...]:
    return tuple(sorted(each.rule for each in refused))


@pytest.mark.parametrize(("statement", "expected"), CORPUS, ids=[statement for statement, _ in CORPUS])
def test_the_corpus_is_judged_as_labelled(statement: str, expected: tuple[str, ...]) -> None:
    assert rules(lint(step(statement), contract=False)) == expected


def test_the_chain_of_the_project_is_safe_to_release() -> None:
    written = subprocess.run(
        [sys.executable, "-m", "app.migrate", "sql"], cwd=ROOT, text=True, capture_output=True, check=True
    ).stdout
    assert "Running upgrade" in written
    assert lint(written, contract=False) == []


def test_a_refusal_names_step_line_statement_and_recipe() -> None:
    sql = step("ALTER TABLE tasks ADD COLUMN a text", "-- Not needed.\nDROP INDEX\n  tasks_x_idx")
    (refusal,) = lint(sql, contract=False)
    assert (refusal.step, refusal.line, refusal.statement) == ("0008 -> 0009", 8, "DROP INDEX tasks_x_idx;")
    assert "CONCURRENTLY" in refusal.recipe
    assert refusal.why


def test_outside_of_a_transaction_an_index_is_built_beside_the_work() -> None:
    sql = (
        "BEGIN;\n\n-- Running upgrade 0008 -> 0009\n\nCOMMIT;\n\nCREATE INDEX CONCURRENTLY x ON tasks (a);\n"
    )
    assert lint(sql, contract=False) == []


CONTRACTS = ("UPDATE schema_info SET ordinal = 9, min_ordinal = 8", "ALTER TABLE tasks DROP COLUMN notes")


@pytest.mark.parametrize(
    ("statements", "contract", "expected"),
    [
        (CONTRACTS, True, ()),
        (CONTRACTS, False, ("ban-drop-column",)),  # nobody approved it
        (CONTRACTS[1:], True, ("ban-drop-column",)),  # the code of before would go on as if nothing were
        ((*CONTRACTS, "CREATE INDEX x ON tasks (a)"), True, ("require-concurrent-index-creation",)),
    ],
    ids=["approved", "not-approved", "unmarked", "a-lock-is-never-approved"],
)
def test_only_an_approved_contract_step_takes_away(
    statements: tuple[str, ...], contract: bool, expected: tuple[str, ...]
) -> None:
    assert rules(lint(step(*statements), contract=contract)) == expected


def test_one_contract_step_approves_no_other() -> None:
    sql = step(*CONTRACTS) + step("ALTER TABLE tasks DROP COLUMN title", number=10)
    (refusal,) = lint(sql, contract=True)
    assert refusal.step == "0009 -> 0010"


@pytest.mark.parametrize(
    ("approved", "refused"), [("0009", []), ("0010", ["0008 -> 0009"]), (None, ["0008 -> 0009"])]
)
def test_one_revision_may_be_approved_alone(approved: str | None, refused: list[str]) -> None:
    found = lint(step(*CONTRACTS), contract=False, approved=approved)
    assert [each.step for each in found] == refused


def test_only_what_is_pending_is_read() -> None:
    sql = step("DROP TABLE users") + step("DROP TABLE tasks", number=10)
    (refusal,) = lint(pending(sql, "0009"), contract=False)
    assert (refusal.step, refusal.statement) == ("0009 -> 0010", "DROP TABLE tasks;")
    assert refusal.line == sql[: sql.index("DROP TABLE tasks")].count("\n") + 1
    assert lint(pending(sql, "0010"), contract=False) == []
    assert len(lint(pending(sql, "base"), contract=False)) == 2
    with pytest.raises(ValueError, match="0007"):
        pending(sql, "0007x")


def test_every_rule_has_a_recipe_and_none_is_told_twice() -> None:
    refused = {rule for _, expected in CORPUS for rule in expected}
    assert refused <= CONTRACT.keys() | RECIPES.keys()
    assert not CONTRACT.keys() & RECIPES.keys()
    assert not (CONTRACT.keys() | RECIPES.keys()) & set(UNASKED)


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file or directory"), (b"\xff\xfe", "it is no UTF-8 text")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "step.sql"
    for written in [content] if content is not None else []:
        path.write_bytes(written)
    with pytest.raises(GadError) as caught:
        lint_file(path, contract=False)
    assert caught.value.fact == f"{path}: {words}"
