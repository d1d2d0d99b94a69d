"""`gad probe` as people use it: what it shows, its exit codes, whom it refuses."""

from __future__ import annotations

import _thread
import json
import time
from collections.abc import Callable

import pytest
from probed_api import Api, Fault, healthy, listening_beside

from infra.cli.root import main
from infra.errors import Exit
from infra.operate import probe, probe_sockets
from infra.operate.outputs import StackOutputs
from infra.operate.pulumi import Deployment, Pulumi
from infra.operate.users import Account

ACCOUNT = Account(email="jefe@distrito.example", password="ocho caballos verdes")
Stack = Callable[[str, str], None]


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack that says it answers there, and is in this environment."""
    monkeypatch.setattr(probe_sockets, "LINGER_S", 0.1)

    def say(url: str, environment: str) -> None:
        outputs = StackOutputs.model_construct(stack="dev", environment=environment, url=url, tls="acme")
        monkeypatch.setattr(Pulumi, "deployment", lambda *_: Deployment())
        monkeypatch.setattr(probe, "read_outputs", lambda *_: outputs)
        monkeypatch.setattr(probe, "demo_admin", lambda *_: ACCOUNT)

    return say


def run(url: str, stack: Stack, *options: str, environment: str = "dev") -> int:
    stack(url, environment)
    return main(["probe", "dev", "--seconds", "1", "--per-second", "40", "--clients", "2", *options])


def broken(doing: str, number: int) -> str:
    """The third new task gets no answer, and an event is lost."""
    return {("POST /api/v1/tasks", 2): "drop", ("event", 1): "lose"}.get((doing, number), "")


def test_a_healthy_stack_is_exit_0(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    with listening_beside(Api()) as url:
        assert run(url, stack) == Exit.OK
    out = capsys.readouterr().out.splitlines()
    assert out[-1].endswith("requests failed, nothing was lost or doubled")
    assert any(line.startswith("during steady") for line in out)
    assert any("blue from" in line for line in out)


@pytest.mark.parametrize(("fault", "failed", "lost"), [(healthy, 0, 0), (broken, 1, 2)])
def test_json_has_every_failure(
    stack: Stack, capsys: pytest.CaptureFixture[str], fault: Fault, failed: int, lost: int
) -> None:
    with listening_beside(Api(fault)) as url:
        assert run(url, stack, "--json") == (Exit.FAILED if failed else Exit.OK)
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is (failed == 0)
    assert (len(report["failures"]), report["sockets"]["lost"]) == (failed, lost)
    assert report["posts"]["acknowledged"] == report["posts"]["sent"] - failed


def test_what_failed_is_shown_with_when_and_why(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    with listening_beside(Api(broken)) as url:
        assert run(url, stack) == Exit.FAILED
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith("1 of ")
    assert out[-1].endswith("requests failed; 2 events lost")
    told = [line for line in out if "IncompleteReadError" in line]
    assert len(told) == 1
    assert told[0].split()[:2] == ["1", "steady"]
    assert any("1 unknown, 0 of them there, 0 lost" in line for line in out)


def test_ctrl_c_ends_it_early_and_the_report_is_there(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(doing: str, number: int) -> str:
        if (doing, number) == ("event", 4):  # it has worked for most of a second by then
            _thread.interrupt_main()
        return ""

    began = time.monotonic()
    with listening_beside(Api(interrupt)) as url:
        assert run(url, stack, "--seconds", "600") == Exit.OK
    assert time.monotonic() - began < 60
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 of ")


@pytest.mark.parametrize(
    ("url", "environment", "fact"),
    [
        ("https://localhost:8443", "production", "stack dev is production"),
        ("https://gad.example", "staging", "https://gad.example is not this machine"),
    ],
)
def test_production_and_other_machines_are_refused(
    stack: Stack, capsys: pytest.CaptureFixture[str], url: str, environment: str, fact: str
) -> None:
    assert run(url, stack, environment=environment) == Exit.REFUSED
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith(f"error: {fact}")
    assert err[1].startswith("remedy: probe ")
