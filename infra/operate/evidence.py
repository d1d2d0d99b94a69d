"""Evidence: what a verification found of each control, in a file for whoever asks later. Without secrets."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from infra.errors import Exit, GadError
from infra.host.controls import Control, Ref, Waiver, load
from infra.operate.verify import Check, Report, ServerUnderTest, Source

# pass, fail: looked at. waived: it holds, and a demand of its refs is not met, for the reason of its waiver.
# not run: nobody looked, or the server could not be asked.
Result = Literal["pass", "fail", "waived", "not run"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(_Part):
    """What was looked at; `unknown` if nothing could be."""

    server: str  # as in the records of its controls: `server` or `data server`
    kind: Literal["server", "lab", "unknown"]
    address: str
    port: int  # of SSH
    os: str


class ControlRecord(_Part):
    """One control of one server: what should be and what is, in words for people → values."""

    server: str
    id: str
    result: Result
    source: Source | None  # None: not looked at
    expected: dict[str, JsonValue]
    found: dict[str, JsonValue]
    detail: str  # of a failure, or why it was not looked at
    refs: tuple[Ref, ...]  # whose demand it is
    waiver: Waiver | None


class CheckRecord(_Part):
    """One check of the stack that runs on it."""

    subject: str
    check: str
    result: Result
    detail: str


class Evidence(_Part):
    """One run: when, by which commit, of what, what it found. Controls stand in the order of their file."""

    form: Literal[1] = 1
    time: datetime
    commit: str | None  # of the checkout; None without git
    dirty: bool  # whether the checkout had changes beside the commit
    stack: str
    targets: tuple[Target, ...]  # the servers whose controls are there
    results: dict[Result, int]  # of the controls
    controls: tuple[ControlRecord, ...]
    checks: tuple[CheckRecord, ...]


def evidence(root: Path, report: Report, servers: Sequence[ServerUnderTest], *, now: datetime) -> Evidence:
    """What a report proves. Raises GadError for an expired waiver."""
    every = load(root, today=now.date()).controls if servers else ()
    controls = tuple(
        _control(control, report, server.subject)
        for server in servers
        for control in every
        if control.id in server.plan.values.root
    )
    commit, dirty = _checkout(root)
    count = Counter(each.result for each in controls)
    names: tuple[Result, ...] = ("pass", "fail", "waived", "not run")
    return Evidence(
        time=now.replace(microsecond=0),
        commit=commit,
        dirty=dirty,
        stack=report.stack,
        targets=tuple(_target(report, each) for each in servers),
        results={name: count[name] for name in names},
        controls=controls,
        checks=tuple(_check(each) for each in report.checks if each.control is None),
    )


def write(path: Path, root: Path, report: Report, servers: Sequence[ServerUnderTest]) -> Evidence:
    """Write it: JSON, or a table for people if the name ends in `.md`. Raises GadError."""
    made = evidence(root, report, servers, now=datetime.now(UTC))
    text = markdown(made) if path.suffix == ".md" else made.model_dump_json(indent=2) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise GadError(
            f"{path} cannot be written: {error.strerror}",
            remedy="name a file in a folder that is there",
            exit_code=Exit.USAGE,
        ) from None
    return made


def markdown(made: Evidence) -> str:
    """For people: one row a control. Pure."""
    commit = f"{made.commit or 'no commit'}{' with changes' if made.dirty else ''}"
    rows = [
        f"| {each.server} | `{each.id}` | {each.result} | {each.source or '-'} | {_cell(_words(each))} |"
        for each in made.controls
    ]
    stack = [f"| {each.subject} | {each.result} | {_cell(each.check)} |" for each in made.checks]
    lines = [
        f"# Evidence: {made.stack}",
        "",
        f"{made.time.isoformat()}, {commit}.",
        "",
        *(
            f"- {each.server}: {each.kind} {each.address}, port {each.port}, {each.os}"
            for each in made.targets
        ),
        "",
        "Controls: " + ", ".join(f"{count} {name}" for name, count in made.results.items()) + ".",
    ]
    if rows:
        lines += [
            "",
            "| Server | Control | Result | Source | What was found |",
            "|---|---|---|---|---|",
            *rows,
        ]
    if stack:
        lines += ["", "| Part | Result | Check |", "|---|---|---|", *stack]
    return "\n".join(lines) + "\n"


def _words(each: ControlRecord) -> str:
    if each.result in ("fail", "not run"):
        return each.detail
    return (
        "as wanted"
        if each.waiver is None
        else f"as wanted; waived until {each.waiver.expires}: {each.waiver.reason}"
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _control(control: Control, report: Report, server: str) -> ControlRecord:
    made = [each for each in report.checks if each.control == control.id and each.subject == server]
    check = made[0] if len(made) == 1 else None
    look = check.look if check else None
    result: Result = "not run"
    if check is not None:
        result = _result(check)
        if result == "pass" and control.waiver is not None:
            result = "waived"
    return ControlRecord(
        server=server,
        id=control.id,
        result=result,
        source=look.source if look else None,
        expected=look.expected if look else {},
        found=look.found if look else {},
        detail=check.detail if check else f"looked at {len(made)} times",
        refs=control.refs,
        waiver=control.waiver,
    )


def _check(check: Check) -> CheckRecord:
    return CheckRecord(subject=check.subject, check=check.check, result=_result(check), detail=check.detail)


def _result(check: Check) -> Result:
    results: dict[str, Result] = {"passed": "pass", "failed": "fail"}
    return results.get(check.outcome, "not run")


def _target(report: Report, server: ServerUnderTest) -> Target:
    looks = {each.look.lab for each in report.checks if each.look and each.subject == server.subject}
    return Target(
        server=server.subject,
        kind="unknown" if len(looks) != 1 else "lab" if looks.pop() else "server",
        address=server.access.address,
        port=server.access.port,
        os=server.plan.os,
    )


def _checkout(root: Path) -> tuple[str | None, bool]:
    """The commit, and whether anything differs from it."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:  # no git here
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
