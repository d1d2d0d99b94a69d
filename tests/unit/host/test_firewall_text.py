"""The firewall's rules: a table of its own, closed but for SSH and what the plan opens."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.host.controls import Values, load
from infra.host.firewall.text import UNIT, rules
from infra.host.plan import OpenPort

ROOT = Path(__file__).resolve().parents[3]
VALUES = load(ROOT, today=datetime.now(UTC).date()).values_for("debian-13")
WEB = (
    OpenPort(port=443, protocol="tcp"),
    OpenPort(port=80, protocol="tcp"),
    OpenPort(port=443, protocol="udp"),
    OpenPort(port=80, protocol="tcp"),
)


def chain(name: str, open_ports: tuple[OpenPort, ...] = WEB) -> list[str]:
    text = rules(VALUES, ssh_port=2222, open_ports=open_ports)
    body = text.split(f"  chain {name} {{\n", 1)[1].split("\n  }\n", 1)[0]
    return [line.strip() for line in body.splitlines()]


def test_only_its_own_table_is_replaced() -> None:
    head, *lines = rules(VALUES, ssh_port=22, open_ports=WEB).splitlines()
    assert head.startswith("# Written by infra/host/firewall")
    assert lines[:3] == ["table inet gad", "delete table inet gad", "table inet gad {"]
    assert [line for line in lines if "flush" in line or line.startswith("table")] == [lines[0], lines[2]]


@pytest.mark.parametrize("name", ["input", "forward"])
def test_what_nobody_opened_is_closed(name: str) -> None:
    hook, *others = chain(name)
    assert hook == f"type filter hook {name} priority filter - 10; policy drop;"
    # No line accepts without a condition.
    assert [line for line in others if line in ("accept", "counter accept")] == []


def test_what_comes_in() -> None:
    accepted = [line for line in chain("input") if line.endswith(" accept") and "dport" in line]
    assert accepted == [
        "ip6 saddr fe80::/10 udp dport 546 accept",
        "tcp dport 2222 accept",
        "tcp dport @ssh_moving accept",
        "tcp dport { 80, 443 } accept",
        "udp dport { 443 } accept",
    ]


def test_what_is_forwarded_was_published_and_is_open() -> None:
    assert chain("forward")[1:-1] == [
        "ct state established,related accept",
        'iifname "docker0" accept',
        'iifname "br-*" accept',
        "ct status dnat meta l4proto tcp ct original proto-dst { 80, 443 } accept",
        "ct status dnat meta l4proto udp ct original proto-dst { 443 } accept",
    ]


def test_without_open_ports_there_is_ssh_alone() -> None:
    assert [line for line in chain("forward", ()) if "dnat" in line] == []
    assert [line for line in chain("input", ()) if line.endswith("} accept") and "dport" in line] == []


def test_a_source_s_connections_to_ssh_are_counted_before_they_are_let_in() -> None:
    lines = chain("input")
    limits = [line for line in lines if "limit rate" in line]
    assert [line.split("{ ")[1].split(" limit")[0] for line in limits] == [
        *("ip saddr", "ip6 saddr & ffff:ffff:ffff:ffff::")
    ]
    assert max(map(lines.index, limits)) < lines.index("tcp dport 2222 accept")


def test_loopback_is_nobody_else_s() -> None:
    assert 'iif != "lo" ip daddr 127.0.0.0/8 counter drop' in chain("before")
    values = Values({**VALUES.root, "firewall.loopback-from-outside-dropped": False})
    assert "127.0.0.0/8" not in rules(values, ssh_port=22, open_ports=WEB)


def test_it_is_there_before_network_and_docker_and_its_end_opens_nothing() -> None:
    assert "Before=network-pre.target docker.service shutdown.target" in UNIT
    assert "ExecStop" not in UNIT
