from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli import setup as setup_commands
from infra.cli.root import main
from infra.errors import Exit, GadError

ROOT = Path(__file__).resolve().parents[2]
GAD = ROOT / "bin" / "gad"


def raises(error: BaseException) -> object:
    """A stand-in for a command's work that ends like this."""

    def work(*args: object, **kwargs: object) -> None:
        raise error

    return work


def test_an_expected_failure_is_two_lines_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = GadError("the stack is locked by ana", remedy="wait", exit_code=Exit.REFUSED)
    monkeypatch.setattr("infra.toolchain.setup.set_up", raises(error))
    assert main(["setup"]) == Exit.REFUSED
    captured = capsys.readouterr()
    assert captured.err == "error: the stack is locked by ana\nremedy: wait\n"
    assert captured.out == ""


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.toolchain.setup.set_up", raises(KeyboardInterrupt()))
    assert main(["setup"]) == Exit.INTERRUPTED


def test_a_bug_escapes_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.toolchain.setup.set_up", raises(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError, match="ours"):
        main(["setup"])


@pytest.mark.parametrize(
    ("args", "error", "remedy"),
    [
        (["stpu"], "no such command 'stpu'", "gad --help"),
        (["env", "--jsn"], "no such option: --jsn", "gad env --help"),
        (["env", "dve"], "there is no stack 'dve' (no Pulumi.dve.yaml)", "did you mean 'dev'?"),
        (["env", "qqqq"], "there is no stack 'qqqq'", "use one of: dev, production, staging"),
    ],
)
def test_bad_usage_is_two_lines_and_exit_2(
    args: list[str], error: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == Exit.USAGE
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"error: {error}")
    assert lines[1] == f"remedy: {remedy}"


def test_a_misspelt_toolchain_stops_before_anything_is_touched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GAD_TOOLCHAIN", "ofline")
    monkeypatch.setattr("infra.toolchain.dockerd.ensure", raises(AssertionError("too late")))
    assert main(["setup"]) == Exit.USAGE
    assert "GAD_TOOLCHAIN is 'ofline'" in capsys.readouterr().err


def test_env_is_for_eval(tmp_path: Path) -> None:
    """In a real shell, from another folder: `gad` and the stack's variables are there afterwards."""
    script = f'eval "$({GAD} env dev)" && command -v gad && gad --version && echo "$PULUMI_STACK"'
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    where, version, stack = done.stdout.splitlines()
    assert (where, stack) == (str(ROOT / ".gad" / "bin" / "gad"), "dev")
    assert version.startswith("gad ")


def test_env_as_json_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    assert main(["env", "dev", "--json"]) == Exit.OK
    out = capsys.readouterr().out
    assert json.loads(out)["unset"] == ["PULUMI_CONFIG_PASSPHRASE"]
    assert "correct horse" not in out
    assert (ROOT / "config" / "dev.passphrase").read_text().strip() not in out


def test_a_passphrase_that_does_not_exist_yet_is_mentioned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(setup_commands, "ROOT", tmp_path)
    assert main(["env", "staging"]) == Exit.OK
    assert "`gad secrets init staging` creates it" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_stacks(shell: str) -> None:
    def complete(line: str) -> str:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_TYPER_COMPLETE_ARGS": line}
        env = {**os.environ, **words, "_GAD_COMPLETE": f"complete_{shell}"}
        return subprocess.run([GAD], env=env, capture_output=True, text=True, check=False).stdout

    assert "setup" in complete("gad se")
    assert "production" in complete("gad env pro")


def test_help_and_completion_load_nothing_heavy() -> None:
    program = "import sys, infra.cli.root; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"pulumi", "pulumi_docker", "docker", "paramiko", "httpx", "pydantic", "grpc", "cryptography"}
    assert heavy & set(done.stdout.split()) == set()


def test_without_a_venv_the_remedy_is_named(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gad").write_bytes(GAD.read_bytes())
    done = subprocess.run(
        ["sh", tmp_path / "bin" / "gad", "setup"], capture_output=True, text=True, check=False
    )
    assert done.returncode == Exit.USAGE
    assert done.stderr.splitlines()[1] == f"remedy: make -C {tmp_path} setup"
