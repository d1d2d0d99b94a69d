"""The firewall: the rules in force, as nftables lists them, against the controls and the plan's ports."""

from __future__ import annotations

import re
from collections.abc import Iterable

from infra.host.controls import Control

from .facts import Facts, asks
from .proof import Proof, proves

TABLE = "inet gad"
RULES = "/etc/gad-firewall.nft"
UNIT = "gad-firewall.service"
asks("nft", f"nft -s list table {TABLE}")
asks("nft moving", f"nft list set {TABLE} ssh_moving")
OTHER = "other rules that let something in"
MINUTES = {"d": 1440.0, "h": 60.0, "m": 1.0, "s": 1 / 60, "ms": 1 / 60000}


def chain(facts: Facts, name: str) -> list[str]:
    """The lines of a chain: first its hook and policy, then its rules."""
    lines = [line.strip() for line in facts.lines("nft")]
    if f"chain {name} {{" not in lines:
        return []
    begin = lines.index(f"chain {name} {{") + 1
    return lines[begin : lines.index("}", begin)]


def policy(facts: Facts, name: str) -> str | None:
    """What happens to what no rule of the chain knows."""
    match = re.search(rf"hook {name} priority .*; policy (\w+);", " ".join(chain(facts, name)[:1]))
    return match[1] if match else None


def rules(facts: Facts, name: str) -> list[str]:
    """The rules of a chain, without counters."""
    return [re.sub(r" counter( packets \d+ bytes \d+)?", "", line) for line in chain(facts, name)[1:]]


def accepting(facts: Facts, name: str) -> list[str]:
    """Those that let something in, or leave it to others to decide."""
    return [each for each in rules(facts, name) if re.search(r"\b(accept|goto|jump|queue|return)\b", each)]


def members(rule: str) -> list[str]:
    """`{ 80, 443 }` or one word before the verdict, sorted."""
    match = re.search(r"(?:\{ (?P<many>[^}]*) \}|(?P<one>\S+)) accept$", rule)
    return sorted((match["many"] or match["one"]).split(", ")) if match else []


SOURCE = r"(?:ip6? saddr (?P<source>\S+) )?"
OPEN = SOURCE + r"(?P<protocol>tcp|udp) dport .* accept"
FORWARDED = SOURCE + r"ct status dnat meta l4proto (?P<protocol>tcp|udp) ct original proto-dst .* accept"
DHCPV6 = "ip6 saddr fe80::/10 udp dport 546 accept"


def opened(rules: Iterable[str], form: str) -> list[str]:
    """What rules of a form let in: `tcp 443`, and `192.0.2.1 tcp 443` from one source only; sorted."""
    found = []
    for rule in rules:
        match = re.fullmatch(form, rule)
        if match and rule != DHCPV6:
            found += [_place(match["source"], match["protocol"], port) for port in members(rule)]
    return sorted(found)


def planned(facts: Facts) -> list[str]:
    """The plan's open ports in the same words."""
    return sorted(
        _place(source, each.protocol, each.port)
        for each in facts.plan.open_ports
        for source in each.come_from or (None,)
    )


def _place(source: object, protocol: str, port: object) -> str:
    address = "" if source is None else str(source).removesuffix("/32").removesuffix("/128")
    return f"{address} {protocol} {port}".strip()


@proves("firewall.packages")
def packages(facts: Facts, control: Control) -> Proof:
    """Installed."""
    return Proof({"not installed": []}, {"not installed": facts.missing(facts.values.items(control.id))})


@proves("firewall.file-mode")
def file_mode(facts: Facts, control: Control) -> Proof:
    """Mode and owner of what is loaded at boot."""
    return Proof({RULES: f"{control.value} root:root"}, {RULES: facts.state(RULES)})


@proves("firewall.default")
def default(facts: Facts, control: Control) -> Proof:
    """Both policies, the ports that are open, nothing else that lets in; and it comes back at boot."""
    came_in, forwarded = accepting(facts, "input"), accepting(facts, "forward")
    own = ["tcp @ssh_moving", f"tcp {facts.plan.ssh_port}"]
    kept = [str(each.subnet) for each in facts.plan.confined]
    drops = [f"ip saddr {subnet} drop" for subnet in kept]
    known = (
        *('iif "lo" accept', "ct state established,related accept", DHCPV6, 'iifname "'),
        *("ip protocol icmp icmp type ", "meta l4proto icmp icmp type ", "icmp type "),
        *("meta l4proto ipv6-icmp icmpv6 type ", "icmpv6 type "),
        *(f"ip saddr {subnet} ip daddr " for subnet in kept),
    )
    return Proof(
        {
            "policy of input": control.value,
            "policy of forward": control.value,
            "open": sorted([*own, *planned(facts)]),
            "forwarded": planned(facts),
            "not confined": [],
            OTHER: [],
            UNIT: "enabled",
        },
        {
            "policy of input": policy(facts, "input"),
            "policy of forward": policy(facts, "forward"),
            "open": opened(came_in, OPEN),
            "forwarded": opened(forwarded, FORWARDED),
            "not confined": [drop for drop in drops if drop not in rules(facts, "forward")],
            OTHER: [
                rule
                for rule in [*came_in, *forwarded]
                if not rule.startswith(known) and not re.fullmatch(f"{OPEN}|{_unnamed(FORWARDED)}", rule)
            ],
            UNIT: facts.unit(UNIT, "UnitFileState"),
        },
    )


def _unnamed(form: str) -> str:
    return re.sub(r"\?P<\w+>", "", form)


@proves("firewall.container-interfaces")
def container_interfaces(facts: Facts, control: Control) -> Proof:
    """From where anything may be forwarded."""
    named = [re.fullmatch(r'iifname "(.*)" accept', rule) for rule in accepting(facts, "forward")]
    found = sorted(match[1] for match in named if match)
    return Proof({"forwarded from": sorted(facts.values.items(control.id))}, {"forwarded from": found})


@proves("firewall.loopback-from-outside-dropped")
def loopback(facts: Facts, control: Control) -> Proof:
    """Before Docker's own change of addresses."""
    before = rules(facts, "before")
    drops = ('iif != "lo" ip daddr 127.0.0.0/8 drop', 'iif != "lo" ip6 daddr ::1 drop')
    early = "priority raw;" in " ".join(chain(facts, "before")[:1])
    return Proof(
        {"IPv4": control.value, "IPv6": control.value, "before NAT": True},
        {"IPv4": drops[0] in before, "IPv6": drops[1] in before, "before NAT": early},
    )


@proves("firewall.icmp", "firewall.icmpv6")
def control_messages(facts: Facts, control: Control) -> Proof:
    """The kinds that may come in."""
    kind = control.id.partition(".")[2]
    about = [rule for rule in accepting(facts, "input") if re.search(rf"\b{kind} type ", rule)]
    found = sorted(each for rule in about for each in members(rule))
    return Proof({"let in": sorted(facts.values.items(control.id))}, {"let in": found})


@proves("firewall.dhcpv6")
def dhcpv6(facts: Facts, control: Control) -> Proof:
    """Answers from the link."""
    found = "ip6 saddr fe80::/10 udp dport 546 accept" in accepting(facts, "input")
    return Proof({"let in": control.value}, {"let in": found})


@proves("firewall.ssh-per-minute", "firewall.ssh-burst")
def ssh_rate(facts: Facts, control: Control) -> Proof:
    """Of each source, by IPv4 and IPv6."""
    word = {
        "firewall.ssh-per-minute": r"limit rate over (\d+)/minute",
        "firewall.ssh-burst": r" burst (\d+) packets",
    }
    begin = f"tcp dport {facts.plan.ssh_port} ct state new "
    found = {}
    for version in ("v4", "v6"):
        limits = [
            r
            for r in chain(facts, "input")
            if r.startswith(begin) and f"@ssh_{version} " in r and "drop" in r
        ]
        match = re.search(word[control.id], " ".join(limits))
        found[f"IP{version}"] = int(match[1]) if match else None
    return Proof(dict.fromkeys(found, control.value), found)


@proves("firewall.ssh-move-minutes")
def ssh_move(facts: Facts, control: Control) -> Proof:
    """The set is there, and a port that is in it will leave it in time."""
    text = " ".join(facts.text("nft moving").split())
    limits = re.findall(r"(\d+) timeout (\S+)", text.partition("elements")[2])
    parts = {port: re.findall(r"(\d+)(ms|d|h|m|s)", limit) for port, limit in limits}
    late = [
        p
        for p, each in parts.items()
        if sum(float(n) * MINUTES[u] for n, u in each) > float(str(control.value))
    ]
    return Proof(
        {"set with a timeout": True, "open for longer": []},
        {"set with a timeout": "flags timeout" in text, "open for longer": late},
    )


@proves("firewall.nftables-service")
def nftables_service(facts: Facts, control: Control) -> Proof:
    """Masked where it must not run: its start and stop flush all rules."""
    found = facts.unit("nftables.service", "UnitFileState")
    return Proof({"nftables.service": "enabled" if control.value else "masked"}, {"nftables.service": found})


@proves("firewall.other-packages")
def other_packages(facts: Facts, control: Control) -> Proof:
    """Not installed."""
    return Proof({"installed": []}, {"installed": facts.present(facts.values.items(control.id))})
