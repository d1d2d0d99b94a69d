"""Is what runs what was declared? Runs the suite in tests/host against a stack and reads its report."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict

from infra.errors import GadError
from infra.operate.certificate import authority_file
from infra.operate.docker_engine import connect
from infra.operate.outputs import StackOutputs, read_outputs
from infra.operate.pulumi import Deployment, Pulumi

SUITE = Path("tests") / "host"
LIMIT_S = 300  # a whole run takes seconds; beyond this the engine or the host hangs

# passed, failed: compared. error: could not be compared. skipped: not tried.
Outcome = Literal["passed", "failed", "error", "skipped"]
NOT_CHECKED = "not checked: "  # how tests/host begins the reason why it could not compare


class Check(BaseModel):
    """One check: what was looked at, what should hold, and what to do if it does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    check: str
    outcome: Outcome
    detail: str  # of a failure; without secrets, the suite takes them out
    remedy: str
    seconds: float


class Report(BaseModel):
    """All checks of one run, as they were made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    seconds: float
    checks: tuple[Check, ...]

    @property
    def failures(self) -> tuple[Check, ...]:
        """What did not pass; a check that was skipped was not made, and counts as one."""
        return tuple(check for check in self.checks if check.outcome != "passed")

    @property
    def is_as_declared(self) -> bool:
        """Whether there were checks and all passed: no check is no proof."""
        return bool(self.checks) and not self.failures


class _Export(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    deployment: Deployment = Deployment()


def verify(pulumi: Pulumi, *, junit: Path | None = None) -> Report:
    """Compare a running stack with its outputs; changes nothing. `junit` also gets the suite's own report.

    Raises GadError if there is nothing to verify or the suite cannot run.
    """
    state = pulumi.read("stack", "export")
    outputs = read_outputs(pulumi.stack, _Export.model_validate_json(state).deployment.outputs)
    connect(outputs.server).close()  # one sentence now, rather than one per check
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gad-verify-") as folder:
        results = run_suite(pulumi.root, outputs, state, Path(folder))
        checks = parse_junit(results)
        if junit is not None:
            junit.write_bytes(results)
    return Report(stack=pulumi.stack, seconds=round(time.monotonic() - begun, 1), checks=checks)


def run_suite(root: Path, outputs: StackOutputs, state: str, folder: Path) -> bytes:
    """Run the suite and give its JUnit report. Raises GadError if it did not run to its end."""
    exported, known, results = folder / "outputs.json", folder / "state.json", folder / "junit.xml"
    exported.write_text(outputs.model_dump_json(), encoding="utf-8")
    known.write_text(state, encoding="utf-8")
    arguments = [f"--gad-outputs={exported}", f"--gad-state={known}", f"--junit-xml={results}"]
    if outputs.tls == "internal":
        arguments.append(f"--gad-authority={authority_file(root, outputs.stack)}")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", str(SUITE), "--quiet", *arguments],
            cwd=root,
            # Other plugins of the environment only cost time here.
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GadError(
            f"verification of stack {outputs.stack} did not end within {LIMIT_S} s",
            remedy=f"see with `gad status {outputs.stack}` whether its engine answers",
        ) from None
    # 0 all passed, 1 some failed; anything else means that checks were not made (pytest's exit codes).
    if done.returncode not in (0, 1) or not results.is_file():
        raise GadError(
            f"verification of stack {outputs.stack} could not run: {_last_line(done.stderr or done.stdout)}",
            remedy=f"run `gad up {outputs.stack}` to its end and verify again",
        )
    return results.read_bytes()


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ") if lines else "no output"


def parse_junit(document: bytes) -> tuple[Check, ...]:
    """The checks in a JUnit report, in the order they were made."""
    # Our own subprocess wrote it, in a folder that only we can write to.
    suites = ElementTree.fromstring(document)  # noqa: S314
    return tuple(_check(case) for case in suites.iter("testcase"))


def _check(case: ElementTree.Element) -> Check:
    stated = {each.get("name", ""): each.get("value", "") for each in case.iter("property")}
    outcome: Outcome = "passed"
    detail = ""
    kinds: tuple[tuple[str, Outcome], ...] = (
        ("failure", "failed"),
        ("error", "error"),
        ("skipped", "skipped"),
    )
    for tag, kind in kinds:
        found = case.find(tag)
        if found is not None:
            outcome, detail = kind, (found.text or found.get("message") or "").strip()
            break
    if detail.startswith(NOT_CHECKED):
        outcome, detail = "error", detail.removeprefix(NOT_CHECKED)
    return Check(
        subject=stated.get("subject", case.get("classname", "")),
        check=stated.get("check", case.get("name", "")),
        outcome=outcome,
        detail=detail,
        remedy=stated.get("remedy", ""),
        seconds=float(case.get("time", "0")),
    )
