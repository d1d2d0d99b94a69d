"""Is what runs what was declared? Runs the suite in tests/host against a stack and reads its report."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict, JsonValue

from infra.errors import GadError
from infra.host.plan import HostPlan
from infra.operate import server_plan
from infra.operate.certificate import authority_file
from infra.operate.docker_engine import connect
from infra.operate.outputs import StackOutputs, read_outputs
from infra.operate.place import data_server_of, server_of
from infra.operate.pulumi import Pulumi
from infra.settings import Server
from infra.ssh import SshAccess

SUITE = Path("tests") / "host"
LIMIT_S = 300  # a whole run takes seconds; beyond this the engine or the host hangs

# passed, failed: compared. error: could not be compared. skipped: not tried.
Outcome = Literal["passed", "failed", "error", "skipped"]
NOT_CHECKED = "not checked: "  # how tests/host begins the reason why it could not compare


# value: in effect, by the daemon or kernel itself; effect: tried; file: what it will read, where the rest
# cannot be seen, such as a kernel that is another's; judge: what a program of somebody else's says.
Source = Literal["value", "effect", "file", "judge"]


class ServerUnderTest(BaseModel):
    """A server that the suite asks, and what it is to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    access: SshAccess
    plan: HostPlan
    role: server_plan.Role = "app"

    @property
    def subject(self) -> str:
        """What its checks are about, in a report."""
        return "server" if self.role == "app" else f"{self.role} server"


class Look(BaseModel):
    """What was looked at for one control of a server: in words for people → what should be and what is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source
    lab: bool  # whether the server is a container, whose kernel is another's
    expected: dict[str, JsonValue]
    found: dict[str, JsonValue]


class Check(BaseModel):
    """One check: what was looked at, what should hold, and what to do if it does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    check: str
    outcome: Outcome
    detail: str  # of a failure; without secrets, the suite takes them out
    remedy: str
    seconds: float
    control: str | None = None  # of a server, whose check it is
    look: Look | None = None  # of a control, if the server could be asked


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


def verify(pulumi: Pulumi, *, junit: Path | None = None, exported: str | None = None) -> Report:
    """Compare a running stack with its outputs, and servers that its file has hardened with their controls.

    Changes nothing. `junit` also gets the suite's own report, without a second server's. `exported` is the
    state's text, if it was read already.

    Raises GadError if there is nothing to verify or the suite cannot run.
    """
    state = exported or pulumi.export()
    outputs = read_outputs(pulumi.stack, pulumi.deployment(state).outputs)
    connect(outputs.server).close()  # one sentence now, rather than one per check
    servers = hardened(pulumi.root, pulumi.stack)
    with tempfile.TemporaryDirectory(prefix="gad-verify-") as folder:
        told = [
            *_stack_told(pulumi.root, outputs, state, Path(folder)),
            *_server_told(servers[:1], Path(folder)),
        ]
        report = _run(pulumi.root, pulumi.stack, told, Path(folder), junit)
    return _joined([report, *(verify_server(pulumi.root, pulumi.stack, each) for each in servers[1:])])


def verify_servers(root: Path, stack: str) -> Report:
    """Compare each server that a stack file has hardened with its controls; no stack has to run there.

    Changes nothing. Raises GadError, also if there is none.
    """
    servers = hardened(root, stack)
    if not servers:
        server_plan.plan_of(root, stack)  # says why
    return _joined([verify_server(root, stack, each) for each in servers])


def verify_server(root: Path, stack: str, server: ServerUnderTest) -> Report:
    """Compare one server with its controls. Changes nothing. Raises GadError."""
    with tempfile.TemporaryDirectory(prefix="gad-verify-") as folder:
        return _run(root, stack, _server_told([server], Path(folder)), Path(folder), None)


def hardened(root: Path, stack: str) -> tuple[ServerUnderTest, ...]:
    """A stack's servers that its file wants hardened, and what they are to be. Raises GadError."""
    sections: tuple[tuple[server_plan.Role, Server | None], ...] = (
        ("app", server_of(root, stack)),
        ("data", data_server_of(root, stack)),
    )
    roles = [role for role, section in sections if section is not None and section.hardening is not None]
    plans = [(role, server_plan.plan_of(root, stack, role)) for role in roles]
    return tuple(ServerUnderTest(access=each.access, plan=each.plan, role=role) for role, each in plans)


def _joined(reports: list[Report]) -> Report:
    return Report(
        stack=reports[0].stack,
        seconds=round(sum(each.seconds for each in reports), 1),
        checks=tuple(check for each in reports for check in each.checks),
    )


def _stack_told(root: Path, outputs: StackOutputs, state: str, folder: Path) -> list[str]:
    exported, known = folder / "outputs.json", folder / "state.json"
    exported.write_text(outputs.model_dump_json(), encoding="utf-8")
    known.write_text(state, encoding="utf-8")
    arguments = [f"--gad-outputs={exported}", f"--gad-state={known}"]
    if outputs.tls == "internal":
        arguments.append(f"--gad-authority={authority_file(root, outputs.stack)}")
    return arguments


def _server_told(servers: Sequence[ServerUnderTest], folder: Path) -> list[str]:
    """Of one server, or none."""
    path = folder / "server.json"
    for each in servers:
        path.write_text(each.model_dump_json(), encoding="utf-8")
    return [f"--gad-server={path}" for _ in servers]


def _run(root: Path, stack: str, arguments: list[str], folder: Path, junit: Path | None) -> Report:
    begun = time.monotonic()
    results = run_suite(root, stack, arguments, folder)
    checks = parse_junit(results)
    if junit is not None:
        junit.write_bytes(results)
    return Report(stack=stack, seconds=round(time.monotonic() - begun, 1), checks=checks)


def run_suite(root: Path, stack: str, arguments: list[str], folder: Path) -> bytes:
    """Run the suite and give its JUnit report. Raises GadError if it did not run to its end."""
    results = folder / "junit.xml"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", str(SUITE), "--quiet", *arguments, f"--junit-xml={results}"],
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
            f"verification of stack {stack} did not end within {LIMIT_S} s",
            remedy=f"see with `gad status {stack}` whether its engine answers",
        ) from None
    # 0 all passed, 1 some failed; anything else means that checks were not made (pytest's exit codes).
    if done.returncode not in (0, 1) or not results.is_file():
        raise GadError(
            f"verification of stack {stack} could not run: {_last_line(done.stderr or done.stdout)}",
            remedy=f"run `gad up {stack}` to its end and verify again",
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
        control=stated.get("control"),
        look=Look.model_validate_json(stated["look"]) if "look" in stated else None,
    )
