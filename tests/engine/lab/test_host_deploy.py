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


OS_RELEASE = "/usr/lib/os-release"


@pytest.mark.parametrize(
    ("edit", "found", "planned"),
    [
        ("", "debian-13", "ubuntu-24.04"),
        ("s/^ID=.*/ID=fedora/; s/^VERSION_ID=.*/VERSION_ID=43/", "fedora-43", "debian-13"),
    ],
    ids=["the-other", "a-third"],
)
def test_another_system_is_refused_by_its_name(server: Server, edit: str, found: str, planned: str) -> None:
    before = server.run("sha256sum /etc/ssh/sshd_config /etc/gad-firewall.nft /etc/docker/daemon.json")
    server.run(f"mv {OS_RELEASE} {OS_RELEASE}.kept && sed '{edit}' {OS_RELEASE}.kept >{OS_RELEASE}")
    try:
        error = server.refusal(server.plan(os=planned))
    finally:
        server.run(f"mv {OS_RELEASE}.kept {OS_RELEASE}")
    assert error is not None
    assert error.fact.startswith(f"{server.access.address} was not changed: ")
    assert f"this server runs {found}, the plan is for {planned}; supported are debian-13 and " in error.fact
    assert "correct hardening.os in the stack file" in error.fact
    assert (
        server.run("sha256sum /etc/ssh/sshd_config /etc/gad-firewall.nft /etc/docker/daemon.json") == before
    )
