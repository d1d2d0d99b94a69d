from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.toolchain.environment import environment, superseded

PLAIN = {"PATH": "/usr/bin:/bin", "HOME": "/home/ana"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one stack whose passphrase is committed."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "dev.passphrase").write_text("public")
    return tmp_path


def test_a_plain_shell_gets_everything(root: Path) -> None:
    assert environment(root, "dev", PLAIN) == {
        "PATH": f"{root}/.gad/bin:/usr/bin:/bin",
        "GAD_CHECKOUT": str(root),
        "PULUMI_STACK": "dev",
        "PULUMI_BACKEND_URL": f"file://{root}/.gad/state",
        "PULUMI_HOME": "/home/ana/.cache/grupo-gad/pulumi-home",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_CONFIG_PASSPHRASE_FILE": f"{root}/config/dev.passphrase",
    }
    assert superseded(root, "dev", PLAIN) == ()


def test_the_state_folder_is_private(root: Path) -> None:
    environment(root, "dev", PLAIN)
    assert (root / ".gad" / "state").stat().st_mode & 0o777 == 0o700


def test_docker_host_is_not_touched(root: Path) -> None:
    assert "DOCKER_HOST" not in environment(root, "dev", {**PLAIN, "DOCKER_HOST": "ssh://ops@server"})


def test_the_owners_choices_stay(root: Path) -> None:
    owner = {
        "PULUMI_BACKEND_URL": "s3://states",
        "PULUMI_HOME": "/home/ana/.pulumi",
        "PULUMI_CONFIG_PASSPHRASE_FILE": "/home/ana/staging.passphrase",
    }
    chosen = environment(root, "staging", {**PLAIN, **owner})
    assert chosen["PULUMI_BACKEND_URL"] == "s3://states"
    assert chosen["PULUMI_HOME"] == "/home/ana/.pulumi"
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in chosen


def test_a_stack_without_committed_passphrase_has_its_own_file(root: Path) -> None:
    chosen = environment(root, "staging", PLAIN)
    assert chosen["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{root}/.gad/staging.passphrase"


def test_a_passphrase_variable_opens_staging_but_not_dev(root: Path) -> None:
    base = {**PLAIN, "PULUMI_CONFIG_PASSPHRASE": ""}
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in environment(root, "staging", base)
    assert superseded(root, "staging", base) == ()
    assert environment(root, "dev", base)["PULUMI_CONFIG_PASSPHRASE_FILE"].endswith("config/dev.passphrase")
    assert superseded(root, "dev", base) == ("PULUMI_CONFIG_PASSPHRASE",)


def test_offline_plugins_have_a_home_of_their_own(root: Path) -> None:
    (root / ".gad" / "pulumi-home").mkdir(parents=True)
    shell = {**PLAIN, "PULUMI_HOME": "/home/ana/.pulumi"}
    assert environment(root, "dev", shell)["PULUMI_HOME"] == f"{root}/.gad/pulumi-home"


def test_twice_changes_nothing(root: Path) -> None:
    once = environment(root, "dev", PLAIN)
    assert environment(root, "dev", {**PLAIN, **once}) == once


@pytest.mark.parametrize(("first", "second"), [("dev", "staging"), ("staging", "dev")])
def test_the_shell_of_one_stack_can_be_turned_to_another(root: Path, first: str, second: str) -> None:
    shell = {**PLAIN, **environment(root, first, PLAIN)}
    assert environment(root, second, shell) == environment(root, second, PLAIN)


def test_the_shell_of_one_checkout_can_be_turned_to_another(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shell = {**PLAIN, **environment(other, "dev", PLAIN)}
    assert environment(root, "dev", shell) == environment(root, "dev", PLAIN)


def test_a_file_of_an_earlier_stack_is_taken_back(root: Path) -> None:
    shell = {**PLAIN, **environment(root, "dev", PLAIN), "PULUMI_CONFIG_PASSPHRASE": "mine"}
    assert superseded(root, "staging", shell) == ("PULUMI_CONFIG_PASSPHRASE_FILE",)


def test_without_arguments_it_reads_this_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(PLAIN))
    assert environment(root, "dev") == environment(root, "dev", PLAIN)
