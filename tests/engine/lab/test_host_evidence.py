"""The suite of `gad host verify` over real SSH: all of a hardened server holds, little of a stock one, and
what somebody changes is named by its control; and the file that says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.operate.evidence import Evidence, evidence, write
from infra.operate.verify import Report, ServerUnderTest, verify_server
from tests.engine.lab.hardened import CONTROLS, ROOT, VALUES, Runs, Server

pytestmark = pytest.mark.engine
# What Debian, its image or this machine has as we want it, so that no stock server can fail it.
HOLDS_ON_STOCK = {
    *(f"absent.{name}" for name in VALUES.under("absent")),
    *("accounts.hashes-in-shadow", "accounts.root-locked", "accounts.system-shell", "accounts.unique-ids"),
    *("banner.mode", "clock.client", "clock.others", "clock.zone", "logs.forward", "logs.other-daemons"),
    *("files.absent", "files.absent-names", "files.log", "files.passwd", "files.shadow"),
    *("firewall.other-packages", "firewall.packages", "kernel.cpu-flaws", "kernel.modules-disabled"),
    *("kernel.needed-modules", "kernel.no-execute", "ssh.client-config-mode", "ssh.folder-mode"),
    *("ssh.obsolete-directives", "ssh.server-options", "ssh.socket-activation"),
    *("ssh_config.HashKnownHosts", "sshd_config.KbdInteractiveAuthentication"),
    *("sshd_config.PrintMotd", "sshd_config.UsePAM"),
}
# Control → what somebody does to the server, and how it is undone.
MUTATIONS = {
    "accounts.unique-ids": ("useradd -o -u 0 -M toor", "sed -i '/^toor:/d' /etc/passwd /etc/shadow"),
    "audit.rules.identity": ("sed -i '/identity$/d' /etc/audit/audit.rules", "augenrules"),
    "banner.motd": ("echo welcome >/etc/motd", "truncate -s 0 /etc/motd"),
    "clock.zone": (
        "ln -sf /usr/share/zoneinfo/Europe/Madrid /etc/localtime",
        "ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime",
    ),
    "daemon_json.live-restore": (
        'sed -i \'s/"live-restore": true/"live-restore": false/\' /etc/docker/daemon.json',
        'sed -i \'s/"live-restore": false/"live-restore": true/\' /etc/docker/daemon.json',
    ),
    "docker.deployer-only": ("gpasswd -a games docker", "gpasswd -d games docker"),
    "files.absent": ("touch /etc/hosts.equiv", "rm /etc/hosts.equiv"),
    "files.shadow": ("chmod 644 /etc/shadow", "chmod 640 /etc/shadow"),
    "firewall.default": (
        "nft add rule inet gad input tcp dport 9000 accept",
        "systemctl reload gad-firewall.service",
    ),
    "integrity.at": ("systemctl stop gad-aide.timer", "systemctl start gad-aide.timer"),
    "kernel.needed-modules": (
        "echo 'install nf_tables /bin/true' >/etc/modprobe.d/zz-test.conf",
        "rm /etc/modprobe.d/zz-test.conf",
    ),
    "ssh.socket-activation": ("systemctl enable -q ssh.socket", "systemctl disable -q ssh.socket"),
    "sshd_config.MaxAuthTries": (
        "sed -i 's/^MaxAuthTries 2$/MaxAuthTries 6/' /etc/ssh/sshd_config",
        "sed -i 's/^MaxAuthTries 6$/MaxAuthTries 2/' /etc/ssh/sshd_config",
    ),
    "sysctl.net.ipv4.conf.all.send_redirects": (
        "sysctl -qw net.ipv4.conf.all.send_redirects=1",
        "sysctl -qw net.ipv4.conf.all.send_redirects=0",
    ),
    "upgrades.every-days": (
        "echo 'APT::Periodic::Unattended-Upgrade \"0\";' >/etc/apt/apt.conf.d/99test",
        "rm /etc/apt/apt.conf.d/99test",
    ),
}


def look(server: Server) -> Report:
    return verify_server(ROOT, "lab", under_test(server))


def under_test(server: Server) -> ServerUnderTest:
    return ServerUnderTest(access=server.access, plan=server.plan())


def failed(report: Report) -> set[str]:
    return {str(each.control) for each in report.failures}


def test_all_of_a_hardened_server_holds_and_the_file_says_so(server: Server, tmp_path: Path) -> None:
    report = look(server)
    assert [f"{each.outcome}: {each.detail}" for each in report.failures] == []
    made = write(tmp_path / "evidence.json", ROOT, report, [under_test(server)])
    text = (tmp_path / "evidence.json").read_text()
    assert Evidence.model_validate_json(text) == made
    assert [each.id for each in made.controls] == list(VALUES.root)
    assert made.results == {
        "pass": len(made.controls) - made.results["waived"],
        "fail": 0,
        "waived": sum(1 for each in CONTROLS.controls if each.waiver and each.id in VALUES.root),
        "not run": 0,
    }
    assert [each.id for each in made.controls if not each.expected or each.source is None] == []
    assert [(each.kind, each.address) for each in made.targets] == [("lab", server.access.address)]
    # What a lab cannot set is read from its files, and the evidence says so.
    by_file = {each.id for each in made.controls if each.source == "file"}
    assert {"sysctl.kernel.kptr_restrict", "audit.rules.time"} <= by_file
    assert "sysctl.net.ipv4.conf.all.send_redirects" not in by_file
    assert [word for word in ("$y$", "PRIVATE KEY") if word in text] == []


def test_a_stock_server_holds_little(runs: Runs) -> None:
    """Each control that changes something is red on a server as it is handed over."""
    assert len(runs.stock_report.checks) == len(VALUES.root)
    assert set(VALUES.root) - failed(runs.stock_report) == HOLDS_ON_STOCK
    assert {each.outcome for each in runs.stock_report.failures} == {"failed"}
    # In sentences, whatever is missing there.
    details = [each.detail for each in runs.stock_report.failures]
    assert [text for text in details if "cannot be read" in text or "Error" in text] == []


@pytest.fixture
def changed(server: Server) -> Iterator[Server]:
    """The hardened lab after somebody was at it; as before after the test."""
    try:
        for change, _ in MUTATIONS.values():
            server.run(change)
        yield server
    finally:
        undone = {control: server.ask(undo).code for control, (_, undo) in MUTATIONS.items()}
    assert undone == dict.fromkeys(MUTATIONS, 0)
    assert server.apply().changed == ()


def test_what_somebody_changes_is_named_by_its_control(changed: Server) -> None:
    report = look(changed)
    assert failed(report) == set(MUTATIONS)
    made = evidence(ROOT, report, [under_test(changed)], now=datetime.now(UTC))
    found = {each.id: each for each in made.controls if each.result == "fail"}
    assert set(found) == set(MUTATIONS)
    assert found["files.shadow"].found["/etc/shadow"] == "644 root:shadow"
    assert "tcp 9000" in str(found["firewall.default"].found["open"])


def test_a_server_that_cannot_be_asked_has_nothing_proven(server: Server) -> None:
    """An account that is not let in: every control is not run, and one sentence says why."""
    nobody = ServerUnderTest(access=server.as_user("nobody"), plan=server.plan())
    report = verify_server(ROOT, "lab", nobody)
    made = evidence(ROOT, report, [nobody], now=datetime.now(UTC))
    assert made.results == {"pass": 0, "fail": 0, "waived": 0, "not run": len(VALUES.root)}
    assert [each.kind for each in made.targets] == ["unknown"]
    assert {"cannot be asked: " in each.detail for each in report.failures} == {True}
