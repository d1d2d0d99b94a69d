"""Networks as declared, and the way out that is not there."""

from __future__ import annotations

import re

from engine import Engine, Running
from testinfra.host import Host

from infra.operate.outputs import NetworkDeclared, StackOutputs

SUBJECT = "networks"
TRY_S = 0.7  # a refusal comes at once, a dropped packet never; neighbours answer in under 1 ms


def test_exactly_the_declared_networks_exist(engine: Engine, outputs: StackOutputs) -> None:
    """Exactly the declared networks carry the stack's label.

    Remedy: `gad clean --orphans` for one too many, `gad up` for a missing one.
    """
    assert sorted(engine.networks) == sorted(each.name for each in outputs.networks.values())


def test_network_is_declared(engine: Engine, declared_network: NetworkDeclared) -> None:
    """Is internal or not, with the subnet, as declared.

    Remedy: `gad down` and `gad up` make it anew; data volumes stay.
    """
    found = engine.networks[declared_network.name]
    subnets = [each["Subnet"] for each in found["IPAM"]["Config"]]
    assert (found["Internal"], subnets) == (declared_network.internal, [str(declared_network.subnet)])
    assert (found["Driver"], found["EnableIPv6"], found["Attachable"]) == ("bridge", False, False)


def test_network_labels(
    engine: Engine, outputs: StackOutputs, network: str, declared_network: NetworkDeclared
) -> None:
    """Is labelled with stack, prefix, role and data class.

    Remedy: `gad down` and `gad up` make it anew; data volumes stay.
    """
    assert engine.networks[declared_network.name]["Labels"] == {
        "gad.data-class": "none",
        "gad.prefix": outputs.prefix,
        "gad.role": network,
        "gad.stack": outputs.stack,
    }


def test_network_members(engine: Engine, outputs: StackOutputs, declared_network: NetworkDeclared) -> None:
    """Exactly the declared containers are on it.

    Remedy: `docker network disconnect` what was connected by hand, or `gad up`.
    """
    name = declared_network.name
    members = [each["Name"] for each in engine.networks[name]["Containers"].values()]
    expected = [each.name for each in outputs.containers.values() if name in each.networks]
    assert sorted(members) == sorted(expected)


def test_internal_networks_are_closed(machine: Host, engine: Engine, outputs: StackOutputs) -> None:
    """The kernel drops what would enter or leave an internal network.

    Remedy: restart dockerd, which writes its rules anew; look for what flushed them.
    """
    internal = [each for each in outputs.networks.values() if each.internal]
    subnets = {engine.networks[each.name]["Id"][:12]: str(each.subnet) for each in internal}
    rules = machine.check_output("iptables -S || sudo -n iptables -S").splitlines()
    found = [re.sub(r"^-A \S+ ", "", rule) for rule in rules if rule.endswith("-j DROP")]
    expected = [
        rule
        for bridge, subnet in subnets.items()
        for rule in (f"! -s {subnet} -o br-{bridge} -j DROP", f"! -d {subnet} -i br-{bridge} -j DROP")
    ]
    assert expected != []
    assert [rule for rule in expected if rule not in found] == []


def test_the_live_slot_has_no_way_out(live: Running, engine: Engine, outputs: StackOutputs) -> None:
    """The live slot reaches the database, but nothing on the network that has a way out.

    Remedy: take the slot off that network (`docker network disconnect`), or restart dockerd, which isolates.
    """
    proxy = engine.running("proxy").inspect["NetworkSettings"]["Networks"]
    outside = {each["IPAddress"] for name, each in proxy.items() if name == outputs.networks["egress"].name}
    places = [("postgres", 5432), *((address, 8443) for address in sorted(outside))]
    script = (
        "import socket\n"
        f"for place in {places}:\n"
        f"    s = socket.socket(); s.settimeout({TRY_S})\n"
        "    print(s.connect_ex(place) == 0)\n"
    )
    answer = live.inside.run("python -I -c %s", script)
    assert (answer.stdout.split(), len(outside)) == (["True", "False"], 1)
