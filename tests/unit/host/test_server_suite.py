"""How the suite of a server reads what it says: pure, on texts that servers print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.host.controls import Control
from infra.host.plan import HostPlan
from infra.operate.verify import ServerUnderTest
from infra.ssh import SshAccess
from tests.engine.lab.hardened import CONTROLS, VALUES
from tests.host.server import facts as asking
from tests.host.server import topics  # noqa: F401  (its questions and judges)
from tests.host.server.audit import PEOPLE, normal
from tests.host.server.facts import Facts, UnreachableError, answers, ask, script
from tests.host.server.proof import AtLeast, Proof, prove

ROOT = Path(__file__).resolve().parents[3]
PLAN = HostPlan.model_validate(
    {
        "os": "debian-13",
        "deploy_user": "deploy",
        "deploy_keys": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUR",),
        "ssh_port": 22,
        "open_ports": ({"port": 443, "protocol": "tcp"}, {"port": 443, "protocol": "udp"}),
        "values": VALUES,
    }
)
# What a server answers that is not asked about in a test.
NOTHING = dict.fromkeys(asking.COMMANDS, "")


def proof(control: str, said: dict[str, str]) -> Proof:
    """Of a server that says this, by question."""
    assert set(said) <= set(NOTHING)
    return prove(Facts(PLAN, {**NOTHING, **said}), CONTROLS.control(control))


@pytest.mark.parametrize(
    ("written", "listed"),
    [
        # As auditctl(8) of audit 4 lists what it was told.
        ("-w /etc/apparmor/ -p wa -k MAC", "-w /etc/apparmor -p wa -k MAC"),
        ("-w /etc/selinux/ -p wa -k MAC", "-a always,exit -F dir=/etc/selinux -F perm=wa -F key=MAC"),
        ("-w /etc/passwd -p wa -k id", "-a always,exit -S all -F path=/etc/passwd -F perm=wa -F key=id"),
        (
            "-a always,exit -F arch=b64 -S adjtimex -S settimeofday -k time",
            "-a always,exit -F arch=b64 -S settimeofday,adjtimex -F key=time",
        ),
        (
            f"-a always,exit -F path=/usr/bin/su -F perm=x {PEOPLE} -k privileged",
            "-a always,exit -S all -F path=/usr/bin/su -F perm=x -F auid>=1000 -F auid!=-1 -F key=privileged",
        ),
        (
            "-a never,exit -F dir=/var/lib/docker/volumes",
            "-a never,exit -S all -F dir=/var/lib/docker/volumes",
        ),
        (
            "-a always,exit -F arch=b64 -S open -F exit=-EPERM",
            "-a exit,always -F arch=b64 -S open -F exit=-EPERM",
        ),
    ],
)
def test_a_rule_of_audit_is_one_rule_in_both_forms(written: str, listed: str) -> None:
    assert normal(written) == normal(listed)


@pytest.mark.parametrize(
    "other",
    [
        "-w /etc/passwd -p r -k id",
        "-w /etc/shadow -p wa -k id",
        "-w /etc/passwd -p wa -k other",
        "-a never,exit -F path=/etc/passwd -F perm=wa -k id",
        "-a always,exit -F path=/etc/passwd -F perm=wa -F auid>=1000 -k id",
    ],
)
def test_another_rule_of_audit_is_another(other: str) -> None:
    assert normal("-w /etc/passwd -p wa -k id") != normal(other)


def test_a_servers_own_kernel_is_asked_for_its_rules() -> None:
    """In a lab the file counts; on a server what is loaded, and no rule about a folder that is not there."""
    identity = "\n".join(VALUES.items("audit.rules.identity"))
    folders = "/etc\n/etc/security\n/etc/apparmor\n/etc/apparmor.d"
    said = {"container": "none", "audit loaded": identity, "audit folders": folders, "audit.rules": ""}
    held = proof("audit.rules.identity", said)
    assert (held.source, held.sentences) == ("value", [])
    in_lab = proof("audit.rules.identity", {**said, "container": "docker"})
    assert (in_lab.source, len(in_lab.sentences)) == ("file", 2)
    # /etc/selinux is not there, so that its rule cannot be; those of AppArmor can.
    missing = proof("audit.rules.confinement", {**said, "audit folders": folders}).found["missing rules"]
    assert missing == list(VALUES.items("audit.rules.confinement"))
    gone = proof("audit.docker", {**said, "audit folders": "/etc"}).found["missing rules"]
    assert gone == ["-w /etc/docker -p wa -k docker"]


RULES = """table inet gad {
  chain input {
    type filter hook input priority filter - 10; policy drop;
    iif "lo" accept
    ct state established,related accept
    ct state invalid counter drop
    ip protocol icmp icmp type { echo-request, time-exceeded } accept
    ip6 saddr fe80::/10 udp dport 546 accept
    tcp dport 22 ct state new update @ssh_v4 { ip saddr limit rate over 9/minute burst 20 packets } drop
    tcp dport 22 accept
    tcp dport @ssh_moving accept
    tcp dport 443 accept
    udp dport 443 accept
    counter packets 3 bytes 4
  }
  chain forward {
    type filter hook forward priority filter - 10; policy drop;
    iifname "docker0" accept
    ct status dnat meta l4proto tcp ct original proto-dst 443 accept
    ct status dnat meta l4proto udp ct original proto-dst 443 accept
    counter
  }
}
"""
UNIT = "LoadState=loaded\nNames=gad-firewall.service\nUnitFileState=enabled\n"


def test_the_rules_in_force_are_read() -> None:
    assert proof("firewall.default", {"nft": RULES, "units": UNIT}).sentences == []
    assert proof("firewall.ssh-burst", {"nft": RULES}).found == {"IPv4": 20, "IPv6": None}
    assert proof("firewall.icmp", {"nft": RULES}).found == {"let in": ["echo-request", "time-exceeded"]}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "input priority filter - 10; policy drop",
            "input priority filter - 10; policy accept",
            "policy of input",
        ),
        ("tcp dport 443 accept", "tcp dport { 443, 9000 } accept", "open"),
        ("tcp dport 443 accept", "ip saddr 192.0.2.1 tcp dport 443 accept", "open"),
        ("proto-dst 443 accept", "proto-dst { 443, 5432 } accept", "forwarded"),
        ("tcp dport 22 accept", "tcp dport 22 accept\n    accept", "other rules that let something in"),
        ("tcp dport 22 accept", "tcp dport 22 accept\n    ip saddr 192.0.2.1 accept", "other rules"),
        ("tcp dport 22 accept", "tcp dport 22 accept\n    jump elsewhere", "other rules"),
        ("udp dport 443 accept", "", "open"),
    ],
)
def test_a_rule_that_nobody_planned_is_named(old: str, new: str, sentence: str) -> None:
    found = proof("firewall.default", {"nft": RULES.replace(old, new), "units": UNIT}).sentences
    assert len(found) == 1
    assert found[0].startswith(sentence)


def test_every_control_of_a_server_that_says_nothing_is_a_sentence() -> None:
    """No key, unit, user or file is there: each is said, and none is a traceback."""
    said = {each.id: prove(Facts(PLAN, NOTHING), each).sentences for each in of_debian()}
    empty = {control for control, sentences in said.items() if not sentences}
    # Nothing is found of what must not be there; that something was seen at all is said elsewhere.
    assert {control for control in empty if not control.startswith(QUIET)} == set()
    told = " ".join(text for sentences in said.values() for text in sentences)
    assert [word for word in ("Error", "Traceback", "None") if word in told] == []


QUIET = ("files.absent", "ssh.moduli-bits", "banner.motd", "kernel.no-execute")


def of_debian() -> list[Control]:
    return [each for each in CONTROLS.controls if each.id in VALUES.root]


def test_a_difference_is_said() -> None:
    made = Proof({"a": "x", "b": AtLeast(3), "c": [], "d": 1}, {"a": "x", "b": 2, "c": ["y"]})
    assert made.sentences == [
        "b: 2, wanted is at least 3",
        'c: ["y"], wanted is nothing',
        "d: not there, wanted is 1",
    ]
    assert Proof({"b": AtLeast(3)}, {"b": 3}).sentences == []
    assert Proof({}, {}).sentences == ["nothing was looked at"]


def machine(rc: int, stdout: str, stderr: str = "") -> Any:
    """A server that answers every command so."""
    return SimpleNamespace(run=lambda *_: SimpleNamespace(rc=rc, stdout=stdout, stderr=stderr))


def test_answers_belong_to_their_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one fails, hangs, reads its input or is no shell."""
    monkeypatch.setattr(asking, "COMMANDS", {})
    monkeypatch.setattr(asking, "LIMIT_S", 1)
    for name, command in {
        "a": "echo 'x y'",
        "b": "nothing-like-it",
        "c": "sleep 9",
        "d": "cat",
        "e": "if",
    }.items():
        asking.asks(name, command)
    asking.asks("last one", lambda plan: f"printf '%s\\n' {plan.deploy_user} 1")
    done = subprocess.run(["sh", "-c", script(PLAN)], capture_output=True, text=True, check=True, timeout=60)
    assert answers(done.stdout) == {
        "a": "x y\n",
        "b": "",
        "c": "",
        "d": "",
        "e": "",
        "last one": "deploy\n1\n",
    }
    with pytest.raises(ValueError, match="a is asked twice"):
        asking.asks("a", "true")


@pytest.mark.parametrize(
    ("rc", "stdout", "stderr", "reason"),
    [
        (255, "", "Permission\n denied", "Permission denied"),
        (0, "\x1econtainer\nnone\n", "", "1 of "),
    ],
)
def test_a_server_that_does_not_answer_all_has_answered_nothing(
    rc: int, stdout: str, stderr: str, reason: str
) -> None:
    with pytest.raises(UnreachableError, match=f"^{reason}"):
        ask(machine(rc, stdout, stderr), PLAN, as_root=False)


def collected(*arguments: str) -> list[str]:
    """The ids of the checks that the suite would make."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "tests/host",
            "--collect-only",
            "-q",
            "-p",
            "no:cacheprovider",
            *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if "::" in line or line.startswith("ERROR")]
    return lines or [done.stderr.strip()]


def test_a_server_alone_has_one_check_for_each_control(tmp_path: Path) -> None:
    access = SshAccess(
        address="192.0.2.7", port=22, user="deploy", host_key="ssh-ed25519 AAAA", private_key_file=None
    )
    path = tmp_path / "server.json"
    path.write_text(ServerUnderTest(access=access, plan=PLAN).model_dump_json())
    wanted = [f"server/test_controls.py::test_control[{control}]" for control in VALUES.root]
    found = collected(f"--gad-server={path}")
    assert [name.removeprefix("tests/host/") for name in found] == wanted
    assert len(wanted) >= LEAST_CONTROLS


LEAST_CONTROLS = 255  # of Debian 13; raised as the file grows


def test_without_a_server_its_checks_do_not_exist(tmp_path: Path) -> None:
    assert collected() == ["ERROR: --gad-outputs and --gad-state are missing: run `gad verify STACK`"]
    outputs, state, authority = (tmp_path / name for name in ("outputs.json", "state.json", "ca.crt"))
    container = {
        **{"name": "c", "image": "i", "uid": 1, "labels": {}, "networks": [], "mounts": [], "envs": []},
        **{"ports": ["127.0.0.1:8443->8443/tcp"], "memory_mib": 1, "cpus": "1", "pids": 1},
    }
    slot = {"image": "i", "envs": [], "secrets_dir": "d", "memory_mib": 1, "cpus": "1", "pids": 1, "form": 1}
    stack = {
        **{
            "stack": "dev",
            "environment": "dev",
            "prefix": "gad-dev",
            "url": "u",
            "http_url": "u",
            "site": "s",
        },
        **{
            "tls": "internal",
            "hsts": False,
            "postgres_tls": False,
            "volumes": {"v": "v"},
            "images": {"i": "i"},
        },
        "release": {"live": "blue", "blue": slot, "green": slot},
        "containers": {"redis": container},
        "networks": {"data": {"name": "n", "internal": True, "subnet": "10.0.0.0/24"}},
    }
    outputs.write_text(json.dumps(stack))
    state.write_text("{}")
    authority.write_text("")
    told = (f"--gad-outputs={outputs}", f"--gad-state={state}", f"--gad-authority={authority}")
    found = collected(*told)
    assert len(found) > 50
    assert [name for name in found if "server/" in name or "ERROR" in name] == []
