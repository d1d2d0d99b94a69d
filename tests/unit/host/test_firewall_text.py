"""The firewall's rules: a table of its own, closed but for SSH and what the plan opens."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

import pytest

from infra.host.controls import Values, load
from infra.host.firewall.text import UNIT, rules
from infra.host.plan import Confined, OpenPort

ROOT = Path(__file__).resolve().parents[3]
VALUES = load(ROOT, today=datetime.now(UTC).date()).values_for("debian-13")
WEB = (
    OpenPort(port=443, protocol="tcp"),
    OpenPort(port=80, protocol="tcp"),
    OpenPort(port=443, protocol="udp"),
    OpenPort(port=80, protocol="tcp"),
)


def chain(
    name: str, open_ports: tuple[OpenPort, ...] = WEB, confined: tuple[Confined, ...] = ()
) -> list[str]:
    text = rules(VALUES, ssh_port=2222, open_ports=open_ports, confined=confined)
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


ONE, SIX = IPv4Network("10.0.0.2/32"), IPv6Network("fd00::/64")


def test_a_port_with_sources_is_open_to_them_only() -> None:
    data = (*WEB[:1], OpenPort(port=5432, protocol="tcp", come_from=(ONE, SIX)))
    assert [line for line in chain("input", data) if "5432" in line or "443" in line] == [
        "tcp dport { 443 } accept",
        "ip saddr 10.0.0.2/32 tcp dport { 5432 } accept",
        "ip6 saddr fd00::/64 tcp dport { 5432 } accept",
    ]
    assert [line for line in chain("forward", data) if "5432" in line] == [
        "ip saddr 10.0.0.2/32 ct status dnat meta l4proto tcp ct original proto-dst { 5432 } accept",
        "ip6 saddr fd00::/64 ct status dnat meta l4proto tcp ct original proto-dst { 5432 } accept",
    ]


def test_a_confined_network_leads_nowhere_else() -> None:
    network = IPv4Network("10.88.1.0/24")
    leading = Confined(subnet=network, address=IPv4Address("10.0.0.3"), ports=(5432, 6379))
    lines = chain("forward", WEB, (leading, Confined(subnet=IPv4Network("10.88.3.0/24"))))
    assert lines[1:8] == [
        "ct state established,related accept",
        "ip saddr 10.88.1.0/24 ip daddr 10.88.1.0/24 accept",
        "ip saddr 10.88.1.0/24 ip daddr 10.0.0.3 tcp dport { 5432, 6379 } accept",
        "ip saddr 10.88.1.0/24 counter drop",
        "ip saddr 10.88.3.0/24 ip daddr 10.88.3.0/24 accept",
        "ip saddr 10.88.3.0/24 counter drop",
        'iifname "docker0" accept',
    ]
