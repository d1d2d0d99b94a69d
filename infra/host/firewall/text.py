"""The rules and the unit that loads them at boot, as whole files. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from infra.host.controls import Values
from infra.host.plan import Confined, OpenPort

TABLE = "inet gad"
MOVING = "ssh_moving"  # a set: the port that SSH is about to get, while that is not proven
RULES = "/etc/gad-firewall.nft"
NFT = "/usr/sbin/nft"

# Before the network and Docker are up, so that nothing is open meanwhile. No ExecStop: a stop opens nothing.
UNIT = f"""[Unit]
Description=Firewall: what may come in, and be forwarded to containers
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target docker.service shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={NFT} -f {RULES}
ExecReload={NFT} -f {RULES}

[Install]
WantedBy=sysinit.target
"""

# Priorities: before conntrack and Docker's DNAT (raw), and before every filter of Docker and fail2ban
# (filter - 10). A drop here is final; an accept leaves the packet to Docker's own rules, in whatever backend.
# The first two lines make the change one transaction, whether the table is there or not.
FILE = """# Written by infra/host/firewall from config/controls.yaml: a change here is overwritten.
table {table}
delete table {table}
table {table} {{
{sets}
  chain before {{
    type filter hook prerouting priority raw; policy accept;
{before}
  }}
  chain input {{
    type filter hook input priority filter - 10; policy {default};
{input}
    counter
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy {default};
{forward}
    counter
  }}
}}
"""
# Who has opened how many connections to SSH; forgotten after a while without any. IPv6 by /64, of which
# everybody has at least one.
SOURCES = (("ssh_v4", "ipv4_addr", "ip saddr"), ("ssh_v6", "ipv6_addr", "ip6 saddr & ffff:ffff:ffff:ffff::"))


def rules(
    values: Values, *, ssh_port: int, open_ports: Sequence[OpenPort], confined: Sequence[Confined] = ()
) -> str:
    """The table: SSH and the open ports come in, the open ports are forwarded to who has published them."""
    opened = tuple(_opened(open_ports))
    return FILE.format(
        table=TABLE,
        default=values.text("firewall.default"),
        sets="\n".join(
            [
                f"  set {MOVING} {{ type inet_service; flags timeout; }}",
                *(
                    f"  set {name} {{ type {kind}; flags dynamic,timeout; timeout 2m; size 65535; }}"
                    for name, kind, _ in SOURCES
                ),
            ]
        ),
        before=_indent(_before(values)),
        input=_indent(_input(values, ssh_port, opened)),
        forward=_indent(_forward(values, opened, confined)),
    )


def _before(values: Values) -> Iterator[str]:
    if values.flag("firewall.loopback-from-outside-dropped"):
        yield 'iif != "lo" ip daddr 127.0.0.0/8 counter drop'
        yield 'iif != "lo" ip6 daddr ::1 counter drop'


@dataclass(frozen=True)
class _Opened:
    """Ports of one protocol that the same sources may reach."""

    source: str  # a match with a space behind it; empty: from everywhere
    protocol: str
    ports: str


def _opened(open_ports: Sequence[OpenPort]) -> Iterator[_Opened]:
    sources = dict.fromkeys(source for each in open_ports for source in each.come_from or (None,))
    for source in sources:
        match = "" if source is None else f"{'ip' if source.version == 4 else 'ip6'} saddr {source} "
        for protocol in ("tcp", "udp"):
            ports = sorted(
                each.port
                for each in open_ports
                if each.protocol == protocol and source in (each.come_from or (None,))
            )
            if ports:
                yield _Opened(match, protocol, _set(ports))


def _input(values: Values, ssh: int, opened: Sequence[_Opened]) -> Iterator[str]:
    yield 'iif "lo" accept'
    yield "ct state established,related accept"
    yield "ct state invalid counter drop"
    yield f"meta l4proto icmp icmp type {_set(values.items('firewall.icmp'))} accept"
    yield f"meta l4proto ipv6-icmp icmpv6 type {_set(values.items('firewall.icmpv6'))} accept"
    if values.flag("firewall.dhcpv6"):
        yield "ip6 saddr fe80::/10 udp dport 546 accept"
    rate = values.number("firewall.ssh-per-minute")
    burst = values.number("firewall.ssh-burst")
    for name, _, source in SOURCES:
        limit = f"limit rate over {rate}/minute burst {burst} packets"
        yield f"tcp dport {ssh} ct state new update @{name} {{ {source} {limit} }} counter drop"
    yield f"tcp dport {ssh} accept"
    yield f"tcp dport @{MOVING} accept"
    yield from (f"{each.source}{each.protocol} dport {each.ports} accept" for each in opened)


def _forward(values: Values, opened: Sequence[_Opened], confined: Sequence[Confined]) -> Iterator[str]:
    yield "ct state established,related accept"
    # Before what lets containers out. Among themselves they are bridged, and seen here if br_netfilter is on.
    for each in confined:
        yield f"ip saddr {each.subnet} ip daddr {each.subnet} accept"
        if each.address is not None and each.ports:
            yield f"ip saddr {each.subnet} ip daddr {each.address} tcp dport {_set(each.ports)} accept"
        yield f"ip saddr {each.subnet} counter drop"
    yield from (f'iifname "{name}" accept' for name in values.items("firewall.container-interfaces"))
    # What was asked for, before Docker changed it to a container's address and port; and only what Docker has
    # changed, so that no address of a container is reached past its published ports.
    yield from (
        f"{each.source}ct status dnat meta l4proto {each.protocol} ct original proto-dst {each.ports} accept"
        for each in opened
    )


def _set(items: Iterable[int | str]) -> str:
    """`{ 80, 443 }`, each once; nothing if there is none."""
    words = [str(each) for each in dict.fromkeys(items)]
    return f"{{ {', '.join(words)} }}" if words else ""


def _indent(lines: Iterable[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)
