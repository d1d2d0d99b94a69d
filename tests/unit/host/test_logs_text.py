"""Files of auditd, journald, logrotate, accounting and the clock, as wholes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from infra.host.audit.text import auditd_conf, rules
from infra.host.clock.text import timesyncd_conf
from infra.host.controls import Values, load
from infra.host.logs.text import acct, forward, journald_conf, rotation, sysstat

ROOT = Path(__file__).resolve().parents[3]
VALUES = load(ROOT, today=datetime.now(UTC).date()).values_for("debian-13")
RULES = rules(VALUES).splitlines()[1:]


def test_a_full_disk_stops_neither_the_record_nor_the_server() -> None:
    directives = dict(line.split(" = ") for line in auditd_conf(VALUES).splitlines()[1:])
    ends = {name: word for name, word in directives.items() if name.endswith("_action")}
    assert len(ends) == 6
    assert set(ends.values()) <= {"ROTATE", "SYSLOG"}
    assert directives["write_logs"] == "yes"


def test_what_is_not_watched_comes_before_what_is() -> None:
    kinds = [
        line.split()[0] + line.split()[1].partition(",")[0] for line in RULES if line[:2] in ("-a", "-w")
    ]
    assert kinds[0] == "-anever"
    assert kinds.count("-anever") == len(VALUES.items("audit.unwatched"))
    assert RULES[:4] == ["-D", "-b 8192", "-f 1", "-i"]


def test_every_rule_has_a_key_and_no_placeholder() -> None:
    watched = [line for line in RULES if line.startswith(("-a always", "-w"))]
    assert [line for line in watched if " -k " not in line or "PEOPLE" in line] == []
    assert len(watched) >= 60


def test_a_call_is_watched_for_both_kinds_of_programs() -> None:
    """Else a program of 32 bits goes by unseen; modules are loaded by the kernel's own kind only."""
    calls = [line for line in RULES if "-F arch=" in line and "-k modules" not in line]
    b64 = {line.split()[-1] for line in calls if "arch=b64" in line}
    b32 = {line.split()[-1] for line in calls if "arch=b32" in line}
    assert b64 == b32
    assert len(calls) % 2 == 0


def test_rules_are_locked_last_and_only_if_asked_for() -> None:
    assert "-e 2" not in RULES
    locked = rules(Values({**VALUES.root, "audit.immutable": True})).splitlines()
    assert locked[-1] == "-e 2"
    assert locked[1:-1] == RULES


def test_the_journal_lasts_and_ends() -> None:
    assert {
        "[Journal]",
        "Storage=persistent",
        "Compress=yes",
        "SystemMaxUse=1G",
        "MaxRetentionSec=30day",
    } <= set(journald_conf(VALUES).splitlines())


def test_logs_of_the_project_rotate() -> None:
    head, *lines = rotation(VALUES, "/srv/x").splitlines()
    assert lines[:3] == ["/srv/x/logs/*.log", "/srv/x/*/logs/*.log", "{"]
    assert {"    rotate 14", "    maxage 14", "    daily"} <= set(lines)
    assert (head[0], lines[-1]) == ("#", "}")


def test_accounting_is_on() -> None:
    assert acct(VALUES).splitlines()[1:] == ['ACCT_ENABLE="1"', 'ACCT_LOGGING="30"']
    assert sysstat().splitlines()[1:] == ['ENABLED="true"']


def test_only_named_servers_are_asked_for_the_time() -> None:
    names = " ".join(VALUES.items("clock.servers"))
    assert timesyncd_conf(VALUES).splitlines()[1:] == ["[Time]", f"NTP={names}", "FallbackNTP="]


def test_the_journal_goes_to_the_receiver_and_nowhere_else() -> None:
    said = forward(VALUES, "[2001:db8::7]:6514").splitlines()[1:]
    assert [line.partition("(")[0] for line in said] == ["global", "module", "action"]
    assert 'load="imjournal"' in said[1]
    assert 'type="omfwd" target="2001:db8::7" port="6514" protocol="tcp"' in said[2]
    assert {'queue.maxDiskSpace="256m"', 'action.resumeInterval="5"'} <= set(said[2].rstrip(")").split())
