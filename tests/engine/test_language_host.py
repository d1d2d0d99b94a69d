"""Programs and policy packs run under the offline language host as they do under the official one."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.conformance.harness import Stack, plugin_folder

# Seconds for the engine to reach a point, or for processes to be gone; usually under three.
PATIENCE_S = 30

COMPONENT = """
import pulumi
class Post(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("test:index:Post", name)
        self.register_outputs({})
Post("north")
"""
PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy
def no_posts(args, report):
    if args.resource_type == "test:index:Post":
        report("posts are closed: declare none")
PolicyPack(
    name="closed",
    enforcement_level=EnforcementLevel.{level},
    policies=[ResourceValidationPolicy(name="no-posts", description="No posts.", validate=no_posts)],
)
"""


@pytest.fixture(scope="module")
def engine_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plugin_folder(tmp_path_factory.mktemp("engine") / "bin")


@pytest.fixture
def stack(engine_bin: Path, tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", engine_bin)


def program(stack: Stack, text: str) -> None:
    (stack.folder / "__main__.py").write_text(text)


def test_an_expected_failure_is_one_message(stack: Stack) -> None:
    root = str(Path(__file__).resolve().parents[2])
    program(
        stack,
        f"import sys; sys.path.insert(0, {root!r})\n"
        "from infra.errors import GadError\n"
        "raise GadError('port 443 is taken', remedy='free it')\n",
    )
    run = stack.preview()
    assert not run.ok
    assert [text for text in run.diagnostics if "port 443" in text] == [
        ": port 443 is taken\nremedy: free it\n"
    ]
    assert "Traceback" not in run.output
    assert "non-zero exit code" not in run.output


def test_a_bug_shows_the_users_own_frames(stack: Stack) -> None:
    program(stack, "def divide():\n    return 1 / 0\ndivide()\n")
    run = stack.preview()
    assert not run.ok
    assert "ZeroDivisionError: division by zero" in run.output
    assert "in divide" in run.output
    assert "runpy" not in run.output


def test_the_programs_own_exit_code_is_told(stack: Stack) -> None:
    program(stack, "import sys; sys.exit(7)")
    run = stack.preview()
    assert not run.ok
    assert "exit code: 7" in run.output


def test_a_runtime_option_that_is_not_supported_is_refused_by_name(stack: Stack) -> None:
    (stack.folder / "Pulumi.yaml").write_text(
        "name: conformance\nruntime:\n  name: python\n  options:\n    typechecker: mypy\n"
    )
    run = stack.preview()
    assert not run.ok
    assert "runtime option typechecker is not supported" in run.output


def test_secret_configuration_stays_secret_and_out_of_the_environment(stack: Stack) -> None:
    program(
        stack,
        "import pulumi, pathlib, sys\n"
        "secret = pulumi.Config().require_secret('password')\n"
        "plain = pulumi.Config().require('district')\n"
        "process = pathlib.Path('/proc/self')\n"
        "seen = (process / 'environ').read_text() + (process / 'cmdline').read_text()\n"
        "pulumi.export('password', secret)\n"
        "pulumi.export('district', plain)\n"
        "pulumi.export('seen', 'hunter2' in seen)\n"
        "pulumi.export('argv', len(sys.argv))\n"
        "pulumi.export('stdin', sys.stdin.read())\n",
    )
    assert stack.pulumi("config", "set", "--secret", "password", "hunter2").returncode == 0
    assert stack.pulumi("config", "set", "district", "north").returncode == 0
    run = stack.up()
    outputs = json.loads(stack.pulumi("stack", "output", "--json").stdout)
    assert run.ok, run.output
    assert outputs == {"password": "[secret]", "district": "north", "seen": False, "argv": 1, "stdin": ""}
    assert (
        json.loads(stack.pulumi("stack", "output", "--json", "--show-secrets").stdout)["password"]
        == "hunter2"
    )
    assert "hunter2" not in run.output


@pytest.mark.parametrize(("level", "passes"), [("ADVISORY", True), ("MANDATORY", False)])
def test_a_policy_pack_runs_and_a_mandatory_violation_fails_the_preview(
    stack: Stack, level: str, passes: bool
) -> None:
    program(stack, COMPONENT)
    pack = stack.folder / "policies"
    pack.mkdir()
    (pack / "__main__.py").write_text(PACK.format(level=level))
    (pack / "PulumiPolicy.yaml").write_text(
        f"runtime:\n  name: python\n  options:\n    virtualenv: {sys.prefix}\n"
    )
    run = stack.preview("--policy-pack", str(pack))
    assert run.ok is passes
    assert "posts are closed: declare none" in run.output
    assert f"[{level.lower()}]" in run.output


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopping_the_engine_is_quiet_and_leaves_no_process(stack: Stack, how: signal.Signals) -> None:
    started = stack.folder / "started"
    program(stack, f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\ntime.sleep(600)\n")
    engine = stack.start("up", "--yes", "--skip-preview")
    try:
        _await(started.exists, "the program to start")
        engine.send_signal(how)
        output, _ = engine.communicate(timeout=PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            engine.kill()
        engine.wait()
    assert engine.returncode != 0
    assert "Traceback" not in output
    assert "KeyboardInterrupt" not in output
    _await(lambda: _working_in(stack.folder) == [], "every process to be gone")


def _working_in(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.1)
