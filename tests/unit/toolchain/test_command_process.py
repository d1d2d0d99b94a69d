from __future__ import annotations

import threading
from pathlib import Path

import pytest

from infra.toolchain.command.capture import Capture, Mask
from infra.toolchain.command.model import Logging
from infra.toolchain.command.process import CHECKOUT, describe_exit, inherited, run_process


def run(
    command: str,
    folder: Path,
    *,
    stdin: str | None = None,
    environment: dict[str, str] | None = None,
    cancelled: threading.Event | None = None,
    timeout_s: float = 0,
    interpreter: tuple[str, ...] = ("/bin/sh", "-c"),
) -> tuple[str | None, dict[str, str]]:
    capture = Capture(lambda _: None, Logging.NONE, Mask([]))
    failure = run_process(
        [*interpreter, command],
        folder=folder,
        environment=environment or {},
        stdin=stdin,
        capture=capture,
        cancelled=cancelled or threading.Event(),
        timeout_s=timeout_s,
    )
    return failure, capture.outputs()


def test_a_run_has_its_folder_environment_and_stdin(tmp_path: Path) -> None:
    assert run("pwd; echo $X >&2; cat", tmp_path, stdin="in", environment={"X": "y"}) == (
        None,
        {"stdout": f"{tmp_path}\nin", "stderr": "y"},
    )


def test_without_stdin_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert run("cat", tmp_path) == (None, {"stdout": "", "stderr": ""})


def test_a_command_need_not_read_its_stdin(tmp_path: Path) -> None:
    assert run("exec true", tmp_path, stdin="x" * 1_000_000)[0] is None


def test_a_failed_run_says_its_status_and_keeps_its_outputs(tmp_path: Path) -> None:
    assert run("echo o; exit 3", tmp_path) == ("exit status 3", {"stdout": "o", "stderr": ""})


@pytest.mark.parametrize(
    ("interpreter", "folder", "said"),
    [
        (("/no/such/shell",), "", "cannot start /no/such/shell"),
        (("/bin/sh", "-c"), "missing", "no such directory"),
    ],
)
def test_what_cannot_start_says_why(
    tmp_path: Path, interpreter: tuple[str, ...], folder: str, said: str
) -> None:
    failure, _ = run("true", tmp_path / folder, interpreter=interpreter)
    assert said in str(failure)


def test_cancelling_ends_the_whole_group(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    # The child holds the outputs open: only its end lets the run end.
    assert run("sleep 600 & sleep 600", tmp_path, cancelled=cancelled)[0] == "cancelled"


def test_a_run_ends_at_its_timeout(tmp_path: Path) -> None:
    assert run("sleep 600", tmp_path, timeout_s=0.1)[0] == "timed out"


@pytest.mark.parametrize(("code", "text"), [(0, None), (2, "exit status 2"), (-9, "signal: killed")])
def test_describe_exit(code: int, text: str | None) -> None:
    assert describe_exit(code) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"A": "1", "PYTHONPATH": str(CHECKOUT)}, {"A": "1"}),
        ({"PYTHONPATH": f"{CHECKOUT}:/theirs"}, {"PYTHONPATH": "/theirs"}),
        ({"A": "1"}, {"A": "1"}),
    ],
)
def test_a_command_does_not_inherit_our_import_path(before: dict[str, str], after: dict[str, str]) -> None:
    assert inherited(before) == after
