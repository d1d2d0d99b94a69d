"""What a migration may not do while the release before it still serves, and how to do it instead. Pure.

A release expands the schema first and replaces a slot afterwards, so for a while, and after a rollback for
ever, the code of before works on the schema of after; and no step may keep people waiting for a lock
(deploy reference, section 3). squawk knows most of it; what it does not look at is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlparse

BASE = "base"
SHOWN = 100  # characters of a statement that a refusal quotes

# Not asked of squawk. Each step is one transaction under the migrator's own lock_timeout, and what runs
# outside of one begins by removing what an interrupted run left; the rest are tastes about new columns.
UNASKED = (
    *("require-lock-timeout", "require-statement-timeout", "prefer-robust-stmts"),
    *("prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-text-field"),
)

_LATER = (
    "release code that needs neither first; then take it away in a step of its own that also sets"
    " schema_info.min_ordinal, and approve that step"
)
_NEW_COLUMN = "add a new nullable column, let code write both, fill the old rows in batches, then change over"
_NOT_VALID = "add it NOT VALID in one step, and VALIDATE CONSTRAINT in the next"
_BATCHES = "let a duty of the code do it in batches between two releases, not a migration at once"
_BLOCK = "`with op.get_context().autocommit_block():`"
_CONCURRENTLY = f"say CONCURRENTLY, inside {_BLOCK}"
_USING_INDEX = "CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT … USING INDEX"
_OUTSIDE = "operate it by hand in a maintenance window; a release never does"

# Takes something away that the release before it may use: allowed in a contract step, and only there.
CONTRACT = {
    "ban-drop-column": _LATER,
    "ban-drop-table": _LATER,
    "ban-drop-view": _LATER,
    "ban-drop-function": _LATER,
    "ban-drop-constraint": _LATER,
    "ban-drop-not-null": _LATER,
    "ban-drop-trigger": _LATER,
    "renaming-column": _NEW_COLUMN,
    "renaming-table": f"make a view of the old name; or {_LATER}",
    "renaming-object": _LATER,
    "changing-column-type": _NEW_COLUMN,
    "revoking": _LATER,
}
# Keeps people waiting, or fails half way, whoever uses it.
RECIPES = {
    "require-concurrent-index-creation": _CONCURRENTLY,
    "require-concurrent-index-deletion": _CONCURRENTLY,
    "require-concurrent-reindex": _OUTSIDE,
    "require-concurrent-partition-detach": _CONCURRENTLY,
    "ban-concurrent-index-creation-in-transaction": f"put it inside {_BLOCK}",
    "constraint-missing-not-valid": _NOT_VALID,
    "adding-foreign-key-constraint": _NOT_VALID,
    "disallowed-unique-constraint": _USING_INDEX,
    "adding-serial-primary-key-field": _USING_INDEX,
    "adding-required-field": "give it a constant DEFAULT, or let it be nullable until it is filled",
    "adding-not-nullable-field": f"add CHECK (… IS NOT NULL): {_NOT_VALID}; then SET NOT NULL is quick",
    "adding-field-with-default": f"add it nullable with a DEFAULT for new rows only, and {_BATCHES}",
    "syntax-error": "correct the statement",
    "rewriting-rows": _BATCHES,
    "locking-a-table": _OUTSIDE,
    "changing-timeouts": "leave them to the migrator, which gives up after 1 s and may be run again",
}
_WHY = {
    "rewriting-rows": "every row at once is one long transaction that holds its locks and bloats the table",
    "locking-a-table": "everybody who reads or writes the table waits until it is done",
    "changing-timeouts": "a step that may wait for a lock for long makes everybody behind it wait too",
    "ban-drop-trigger": "the release before it may rely on what the trigger does",
    "revoking": "the release before it may use what is revoked",
}
# What squawk does not look at, by how a statement begins.
_OURS = tuple(
    (re.compile(beginning, re.IGNORECASE), rule)
    for rule, beginning in (
        ("rewriting-rows", r"(UPDATE|DELETE FROM|TRUNCATE)\b(?! (ONLY )?(schema_info|alembic_version)\b)"),
        ("rewriting-rows", r"INSERT INTO .*\bSELECT\b"),
        ("locking-a-table", r"(LOCK|CLUSTER|VACUUM FULL|REFRESH MATERIALIZED VIEW(?! CONCURRENTLY))\b"),
        ("locking-a-table", r"VACUUM \(.*\bFULL\b"),
        ("locking-a-table", r"ALTER TABLE .*\bSET (LOGGED|UNLOGGED|TABLESPACE|ACCESS METHOD)\b"),
        ("changing-timeouts", r"(SET|RESET|ALTER (ROLE|DATABASE|SYSTEM)) .*\b(lock|statement)_timeout\b"),
        ("ban-drop-trigger", r"DROP TRIGGER\b"),
        ("revoking", r"REVOKE\b"),
    )
)
_STEP = re.compile(r"-- Running upgrade (\w*) ?-> (\w+)")
_CONTRACTS = re.compile(r"UPDATE schema_info SET .*\bmin_ordinal\b", re.IGNORECASE)
_MADE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?([\w.]+)", re.IGNORECASE)
_WRITTEN = re.compile(
    r"(?:UPDATE|DELETE FROM|INSERT INTO|TRUNCATE(?: TABLE)?) (?:ONLY )?([\w.]+)", re.IGNORECASE
)


@dataclass(frozen=True)
class Warned:
    """What squawk found: `line` counts from 0."""

    line: int
    rule: str
    message: str
    help: str


@dataclass(frozen=True)
class Refusal:
    """A statement that a release does not run. `line` counts from 1; `step` is as alembic names it."""

    step: str
    line: int
    statement: str
    rule: str
    why: str
    recipe: str


@dataclass(frozen=True)
class _Statement:
    step: str
    first: int
    last: int  # lines from 0
    words: str  # one line, without comments


def pending(sql: str, revision: str) -> str:
    """Of a whole chain's SQL what comes after `revision`; all of it after `base`. Line numbers stay.

    Raises ValueError if the chain does not pass through it.
    """
    if revision == BASE:
        return sql
    steps = [*_STEP.finditer(sql)]
    if not any(revision in step.groups() for step in steps):
        raise ValueError(revision)
    following = next((step.start() for step in steps if step[1] == revision), len(sql))
    begin = sql.rfind("BEGIN;", 0, following) if following < len(sql) else following
    at = begin if begin >= 0 else following
    return "\n" * sql.count("\n", 0, at) + sql[at:]


def judge(
    sql: str, warned: Sequence[Warned], *, contract: bool = False, approved: str | None = None
) -> list[Refusal]:
    """Every statement that must not run, in order.

    `contract`: what steps that raise min_ordinal take away is approved; `approved`: of this revision alone.
    """
    statements = [*_statements(sql)]
    contracting = {each.step for each in statements if _CONTRACTS.match(each.words)}
    found = {(warning.line, warning.rule): warning for warning in (*warned, *_ours(statements))}
    refusals = []
    for (line, rule), warning in sorted(found.items()):
        statement = next((each for each in statements if each.first <= line <= each.last), None)
        step = statement.step if statement else ""
        if rule in CONTRACT and step in contracting and (contract or revision_of(step) == approved):
            continue
        recipe = CONTRACT.get(rule) or RECIPES.get(rule) or warning.help or "see squawk's page of the rule"
        words = statement.words if statement else ""
        quoted = words if len(words) <= SHOWN else f"{words[: SHOWN - 1]}…"
        refusals.append(Refusal(step, line + 1, quoted, rule, warning.message.rstrip("."), recipe))
    return refusals


def revision_of(step: str) -> str:
    """The revision that a step leads to: `0009` of `0008 -> 0009`."""
    return step.rpartition(" ")[2]


def _ours(statements: Sequence[_Statement]) -> Iterator[Warned]:
    made: dict[str, set[str]] = {}  # tables by the step that made them: they are empty
    for each in statements:
        new = made.setdefault(each.step, set())
        new.update(_MADE.findall(each.words))
        written = _WRITTEN.match(each.words)
        if written and written[1] in new:
            continue
        for beginning, rule in _OURS:
            if beginning.match(each.words):
                yield Warned(each.first, rule, _WHY[rule], "")


def _statements(sql: str) -> Iterator[_Statement]:
    line, step = 0, ""
    for text in (str(each) for each in sqlparse.parse(sql)):
        for match in _STEP.finditer(text):
            step = f"{match[1] or BASE} -> {match[2]}"
        words = " ".join(sqlparse.format(text, strip_comments=True).split())
        code = (n for n, each in enumerate(text.split("\n")) if each.strip() and not each.startswith("--"))
        if words:
            yield _Statement(step, line + next(code), line + text.rstrip().count("\n"), words)
        line += text.count("\n")
