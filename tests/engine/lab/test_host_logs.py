"""Audit, logs and clock on a hardened server.

A lab is a container: the kernel's audit, its accounting of processes and its clock are the host's. There
the source is the file, with each rule judged by `auditctl`, which reads it and is then refused by the kernel.
What is in force is for a real server to say.
"""

from __future__ import annotations

import shlex

import pytest

from tests.engine.lab.hardened import VALUES, Runs, Server, eventually

pytestmark = pytest.mark.engine
control = pytest.mark.control
RULES = VALUES.under("audit.rules")
# What auditctl says of a rule that it understood, where the kernel is another's.
UNDERSTOOD = "Error sending add rule data request"


def assigned(text: str) -> dict[str, str]:
    """`name = value` and `name=value`; the last one of a name holds."""
    pairs = (
        line.partition("=") for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;["
    )
    return {name.strip(): value.strip() for name, _, value in pairs}


@control("audit.packages", "logs.accounting")
def test_what_records_is_installed_and_on(runs: Runs) -> None:
    wanted = {*VALUES.items("audit.packages"), *VALUES.items("logs.accounting")}
    assert wanted - set(runs.now["packages"].split()) == set()
    assert wanted & set(runs.stock["packages"].split()) == set()
    assert runs.now["log units"].split() == ["enabled"] * 5


@control("audit.daemon")
def test_the_record_rotates(runs: Runs) -> None:
    wanted = {name: str(value) for name, value in VALUES.table("audit.daemon").items()}
    assert assigned(runs.now["auditd"]) == wanted
    assert runs.stock["auditd"] == ""


def in_file(runs: Runs) -> list[str]:
    """The merged rules, as augenrules gives them to the kernel."""
    return [line for line in runs.now["audit rules"].splitlines() if line and not line.startswith("#")]


@control("audit.rules.*")
@pytest.mark.parametrize("name", [pytest.param(n, marks=control(f"audit.rules.{n}")) for n in RULES])
def test_rules_are_merged(runs: Runs, name: str) -> None:
    people = "-F auid>=1000 -F auid!=4294967295"
    wanted = [rule.replace("PEOPLE", people) for rule in VALUES.items(f"audit.rules.{name}")]
    assert [rule for rule in wanted if rule not in in_file(runs)] == []
    assert runs.stock["audit rules"] == ""


@control("audit.privileged", "audit.docker", "audit.unwatched", "audit.backlog", "audit.immutable")
def test_what_else_is_watched(runs: Runs) -> None:
    found = in_file(runs)
    watched = {line.split()[1] for line in found if line.endswith("-k docker")}
    privileged = {line.split("path=")[1].split()[0] for line in found if line.endswith("-k privileged")}
    unwatched = [line.split("dir=")[1] for line in found if line.startswith("-a never,exit")]
    assert watched == set(VALUES.items("audit.docker"))
    assert privileged == set(VALUES.items("audit.privileged"))
    assert unwatched == list(VALUES.items("audit.unwatched"))
    assert f"-b {VALUES.number('audit.backlog')}" in found
    assert ("-e 2" in found) is VALUES.flag("audit.immutable")


@control("audit.rules.*")
def test_auditctl_understands_every_rule(runs: Runs, server: Server) -> None:
    rules = [line for line in in_file(runs) if line.startswith(("-a", "-w"))]
    rules.append("-a always,exit -F arch=b64 -S no_such_call -k wrong")
    said = f"2>&1 | grep -c '{UNDERSTOOD}' || true"
    script = "; ".join(f"auditctl {shlex.join(line.split())} {said}" for line in rules)
    *counts, wrong = server.run(script).split()
    assert counts == ["1"] * (len(rules) - 1)
    assert wrong == "0"


@control("audit.privileged")
def test_every_privileged_program_is_watched(server: Server) -> None:
    """The list is written by hand; what is setuid or setgid and missing in it is seen here."""
    found = server.run("find / -xdev -type f -perm /6000 ! -path '/var/lib/docker/*'").split()
    assert set(found) - set(VALUES.items("audit.privileged")) == set()
    assert "/usr/bin/sudo" in found


@control("audit.rules.*")
def test_rules_made_by_hand_are_replaced(server: Server) -> None:
    server.run("echo '-D' >/etc/audit/rules.d/audit.rules; augenrules >/dev/null")
    assert server.apply().changed == ("Audit | Write what is recorded", "Audit | Put the rules in force")


@control("logs.journal")
def test_the_journal_is_on_disk(runs: Runs, server: Server) -> None:
    words = {True: "yes", False: "no"}
    wanted = {
        name: words[value] if isinstance(value, bool) else str(value)
        for name, value in VALUES.table("logs.journal").items()
    }
    now, stock = assigned(runs.now["journald"]), assigned(runs.stock["journald"])
    assert {name: now.get(name) for name in wanted} == wanted
    assert {name: stock.get(name) for name in wanted} != wanted
    server.run("logger -t gad-proof written; journalctl --sync")
    folder = "/var/log/journal/$(cat /etc/machine-id)"
    assert "written" in server.run(f"journalctl -D {folder} -t gad-proof -n 1 -o cat")


@control("logs.other-daemons")
def test_the_journal_is_the_one_log(runs: Runs) -> None:
    assert set(VALUES.items("logs.other-daemons")) & set(runs.now["packages"].split()) == set()
    assert "systemd" in runs.now["packages"].split()


@control("logs.project-days")
def test_logs_of_the_project_end(server: Server) -> None:
    """More rotations than days leave as many files as days."""
    days = VALUES.number("logs.project-days")
    folder = "/opt/grupogad/proof/logs"
    turn = f"echo x >>{folder}/a.log; logrotate -f /etc/logrotate.d/gad"
    server.run(f"mkdir -p {folder}; for i in $(seq {days + 3}); do {turn}; done")
    kept = server.run(f"ls {folder}").split()
    server.run("rm -r /opt/grupogad/proof")
    assert len(kept) == days + 1
    assert f"a.log.{days}.gz" in kept


@control("logs.accounting", "logs.accounting-days")
def test_accounting(server: Server) -> None:
    """sysstat has collected; acct is on, and its kernel part is the host's."""
    server.run("systemctl start sysstat-collect.service")
    said = eventually(lambda: server.run("ls /var/log/sysstat"), until=lambda text: text != "")
    days = server.run(". /etc/default/acct; echo $ACCT_ENABLE $ACCT_LOGGING").split()
    assert said.startswith("sa")
    assert days == ["1", str(VALUES.number("logs.accounting-days"))]


@control("clock.client", "clock.others", "clock.servers", "clock.zone")
def test_the_clock(runs: Runs, server: Server) -> None:
    *config, zone = runs.now["clock"].splitlines()
    assert assigned("\n".join(config))["NTP"].split() == list(VALUES.items("clock.servers"))
    assert "NTP" not in assigned(runs.stock["clock"])
    assert VALUES.text("clock.client") in runs.now["packages"].split()
    assert set(VALUES.items("clock.others")) & set(runs.now["packages"].split()) == set()
    assert zone == server.plan().timezone


@control("clock.zone")
def test_another_zone_is_set(server: Server) -> None:
    """By a link only: the kernel is not told, because here it is the clock of this machine."""
    there = server.apply(server.plan(timezone="Europe/Madrid")).changed
    said = server.run("readlink /etc/localtime; date +%Z")
    back = server.apply().changed
    assert there == back == ("Clock | Set the time zone",)
    assert said.split() == ["/usr/share/zoneinfo/Europe/Madrid", "CET"]
