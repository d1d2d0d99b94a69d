from __future__ import annotations

import json
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pulumi
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import language_pb2 as language

from infra.errors import GadError
from infra.toolchain.children import Children
from infra.toolchain.interpreter import find_interpreter
from infra.toolchain.language_host import program_command, program_config, run_result
from infra.toolchain.program import EXPLAINED, describe_failure


def run_request() -> language.RunRequest:
    return language.RunRequest(
        project="grupo-gad",
        stack="dev",
        organization="organization",
        pwd="/project",
        dryRun=True,
        parallel=4,
        monitor_address="127.0.0.1:1",
        config={"grupo-gad:password": "hunter2"},
        configSecretKeys=["grupo-gad:password"],
        args=["--flag"],
        info=language.ProgramInfo(
            root_directory="/project", program_directory="/project/infra", entry_point="."
        ),
    )


def test_program_command_carries_the_run_and_no_configuration() -> None:
    command = program_command(Path("/venv/bin/python"), "127.0.0.1:2", run_request())
    assert command[0] == "/venv/bin/python"
    assert {"--dry_run=true", "--parallel=4", "--monitor=127.0.0.1:1", "--engine=127.0.0.1:2"} <= set(command)
    assert command[command.index("--") + 1 :] == ["/project/infra", "--flag"]
    assert not [word for word in command if "hunter2" in word]


def test_program_config_names_the_secret_keys() -> None:
    assert json.loads(program_config(run_request())) == {
        "config": {"grupo-gad:password": "hunter2"},
        "secret_keys": ["grupo-gad:password"],
    }


@pytest.mark.parametrize(
    ("code", "error", "bail"),
    [
        (0, "", False),
        (EXPLAINED, "", True),
        (7, "Program exited with non-zero exit code: 7", False),
        (-9, "Program was ended by signal 9", False),
    ],
)
def test_run_result(code: int, error: str, bail: bool) -> None:
    assert run_result(code) == language.RunResponse(error=error, bail=bail)


def test_without_options_programs_run_with_our_own_python(tmp_path: Path) -> None:
    assert find_interpreter(tmp_path, {}) == Path(sys.executable)


def test_virtualenv_is_relative_to_the_project_and_its_link_is_kept(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert find_interpreter(tmp_path, {"virtualenv": ".venv"}) == python


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"virtualenv": "nowhere"}, "nowhere/bin/python"),
        ({"typechecker": "mypy"}, "typechecker"),
        ({"toolchain": "poetry"}, "poetry"),
    ],
)
def test_options_that_cannot_be_honoured_are_refused_by_name(
    tmp_path: Path, options: dict[str, object], named: str
) -> None:
    with pytest.raises(GadError, match=named):
        find_interpreter(tmp_path, options)


def test_children_do_not_answer_the_interrupt_that_stops_the_host() -> None:
    ask = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with Children().start([sys.executable, "-c", ask], stdout=subprocess.PIPE) as child:
        output, _ = child.communicate()
    assert output == b"True\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_child_that_ignores_the_request_is_forced_to_end() -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    children = Children()
    with children.start([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        children.end()
        assert child.returncode == -signal.SIGKILL


def failure_of(program: Path, text: str) -> str:
    program.write_text(text)
    with pytest.raises(Exception) as raised:  # noqa: PT011 any failure of the program under test
        runpy.run_path(str(program))
    return describe_failure(raised.value, program)


def test_an_expected_failure_is_its_own_message(tmp_path: Path) -> None:
    text = "from infra.errors import GadError\nraise GadError('port 443 is taken', remedy='free it')"
    assert failure_of(tmp_path / "p.py", text) == "port 443 is taken\nremedy: free it"


def test_a_run_error_is_its_own_message() -> None:
    assert describe_failure(pulumi.RunError("no"), Path("/nowhere")) == "no"


def test_a_bug_keeps_its_traceback_from_the_users_code_on(tmp_path: Path) -> None:
    described = failure_of(tmp_path / "p.py", "def broken():\n    1 / 0\nbroken()\n")
    assert described.startswith("Program failed with an unhandled exception:\nTraceback")
    assert "in broken" in described
    assert "ZeroDivisionError" in described
    assert "runpy" not in described


def test_options_arrive_as_a_struct() -> None:
    options = struct_pb2.Struct()
    options.update({"virtualenv": ".venv"})
    assert language.ProgramInfo(options=options).options["virtualenv"] == ".venv"
