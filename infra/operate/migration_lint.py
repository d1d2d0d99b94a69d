"""The steps a release would run on a stack's schema, read before any of them runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from infra.errors import Exit, GadError
from infra.operate import schema
from infra.operate.migration_rules import UNASKED, Refusal, Warned, judge, pending
from infra.operate.outputs import StackOutputs

PG_VERSION = "17"  # the catalogue's PostgreSQL
SECONDS = 120


class _Found(BaseModel):
    """One entry of squawk's JSON report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    line: int
    column: int
    line_end: int
    column_end: int
    level: str
    rule_name: str
    message: str
    help: str | None


_REPORT = TypeAdapter(list[_Found])


STDIN = Path("-")


def lint(sql: str, *, contract: bool, approved: str | None = None) -> list[Refusal]:
    """Ask squawk and our own rules. Raises GadError if squawk cannot be asked."""
    return judge(sql, _squawk(sql), contract=contract, approved=approved)


def lint_file(path: Path, *, contract: bool, approved: str | None = None) -> list[Refusal]:
    """A file of SQL, as `python -m app.migrate sql` writes it; `-` is standard input.

    Raises GadError if it cannot be read.
    """
    try:
        raw = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
        return lint(raw.decode("utf-8"), contract=contract, approved=approved)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise GadError(f"{path}: {reason}", remedy="name a file of SQL") from error


def lint_pending(
    outputs: StackOutputs, image: str, *, contract: bool, approved: str | None = None
) -> list[Refusal]:
    """The steps of `image` that the stack's schema has not had. Raises GadError."""
    revision = schema.current(outputs)
    sql = schema.steps(outputs, image)
    try:
        wanted = pending(sql, revision)
    except ValueError as error:
        raise GadError(
            f"the schema of stack {outputs.stack} is at {revision}, which {image} does not know",
            remedy="release a version that is not older than the schema",
        ) from error
    return lint(wanted, contract=contract, approved=approved)


def refusal_error(refused: Sequence[Refusal]) -> GadError:
    """The first of them as a failure; the others were told before."""
    first = refused[0]
    place = f"{first.step or 'before any step'}, line {first.line}"
    rest = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
    return GadError(
        f"{place}: {first.statement} ({first.rule}: {first.why}){rest}",
        remedy=first.recipe,
        exit_code=Exit.REFUSED,
    )


def _squawk(sql: str) -> list[Warned]:
    program = Path(sys.executable).with_name("squawk")
    if not program.exists():
        raise GadError("squawk is not installed beside gad", remedy="run `gad setup`")
    excluded = [f"--exclude={rule}" for rule in UNASKED]
    done = subprocess.run(
        [str(program), f"--pg-version={PG_VERSION}", "--reporter=json", "--stdin-filepath=sql", *excluded],
        input=sql,
        text=True,
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )
    try:
        report = _REPORT.validate_json(done.stdout)
    except ValidationError as error:
        words = (done.stderr.strip() or "no report").splitlines()[-1]
        raise GadError(f"squawk gave no report: {words}", remedy="run `gad setup`, then ask again") from error
    return [Warned(each.line, each.rule_name, each.message, each.help or "") for each in report]
