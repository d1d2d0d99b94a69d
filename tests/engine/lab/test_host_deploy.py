"""The deploy of a server as a whole: it changes a new one, then nothing more, and says what differs."""

from __future__ import annotations

import pytest

from tests.engine.lab.hardened import Runs, Server

pytestmark = pytest.mark.engine


def test_the_first_run_changes_a_new_server(runs: Runs) -> None:
    assert "SSH server | Write sshd_config and prove a login" in runs.first.changed
    assert runs.first.changed[-1] == "Root's login | Write sshd_config and prove a login"


def test_the_second_run_changes_nothing(runs: Runs) -> None:
    assert runs.second.changed == ()
    assert runs.second.operations == runs.first.operations


def test_a_dry_run_finds_no_difference(runs: Runs) -> None:
    assert runs.dry.changed == ()


def test_a_dry_run_names_a_difference_and_leaves_it(server: Server) -> None:
    server.run("echo '# by hand' >>/etc/ssh/ssh_config")
    assert server.apply(dry=True).changed == ("SSH client | Write ssh_config",)
    assert server.run("tail -1 /etc/ssh/ssh_config") == "# by hand\n"
    assert server.apply().changed == ("SSH client | Write ssh_config",)


def test_another_system_is_refused(server: Server) -> None:
    error = server.refusal(server.plan(os="ubuntu-24.04"))
    assert error is not None
    assert error.fact.endswith("this server is debian-13, the plan is for ubuntu-24.04")
