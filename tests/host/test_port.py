"""What can be reached on the host: the proxy's ports, and nothing else."""

from __future__ import annotations

import re

from engine import Engine
from kernel import command_lines, listeners
from testinfra.host import Host

from infra.operate.outputs import PortDeclared, StackOutputs

SUBJECT = "ports"
FORWARDER = re.compile(
    r"docker-proxy -proto (?P<protocol>\w+) -host-ip (?P<ip>\S+) -host-port (?P<external>\d+)"
    r" -container-ip (?P<to>\S+) -container-port (?P<internal>\d+)"
)


def test_only_the_proxy_publishes(engine: Engine, outputs: StackOutputs) -> None:
    """The proxy publishes exactly its declared ports, and no other container of the stack publishes any.

    Remedy: remove the container that publishes more, then `gad up`.
    """
    published = [
        f"{name}: {port['IP']}:{port['PublicPort']}->{port['PrivatePort']}/{port['Type']}"
        for each in engine.containers
        for name in [each["Names"][0].lstrip("/")]
        for port in each["Ports"]
        if "PublicPort" in port
    ]
    proxy = outputs.containers["proxy"]
    assert sorted(published) == sorted(f"{proxy.name}: {port}" for port in proxy.published)


def test_only_the_proxy_is_declared_to_publish(outputs: StackOutputs) -> None:
    """No container but the proxy is declared to publish a port.

    Remedy: take the port out of the component: everything comes in through the proxy.
    """
    assert [role for role, declared in outputs.containers.items() if declared.ports] == ["proxy"]


def test_port_listens(machine: Host, port: PortDeclared) -> None:
    """The host listens on it, at the declared address and no other.

    Remedy: `docker ps` or `ss -lnp` names another listener; stop it, or set another port in the stack file.
    """
    assert listeners(machine, port.protocol, port.external) == [port.ip]


def test_nothing_else_is_forwarded(machine: Host, engine: Engine, outputs: StackOutputs) -> None:
    """Nothing on the host forwards to a container of the stack but the declared ports.

    Remedy: remove the container or process that forwards, then `gad up`.
    """
    addresses = {
        each["IPAddress"]
        for role in outputs.containers
        for each in engine.running(role).inspect["NetworkSettings"]["Networks"].values()
    }
    forwarders = FORWARDER.finditer(command_lines(machine))
    forwarded = {
        f"{each['ip']}:{each['external']}->{each['internal']}/{each['protocol']}"
        for each in forwarders
        if each["to"] in addresses
    }
    declared = {str(port) for port in outputs.containers["proxy"].published}
    assert sorted(forwarded - declared) == []
    assert addresses != set()
