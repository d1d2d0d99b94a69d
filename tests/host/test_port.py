"""What can be reached on the host: the proxy's ports, and nothing else but data's on a server of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine import Engine
from kernel import command_lines, listeners
from testinfra.host import Host

from infra.operate.outputs import PortDeclared, StackOutputs
from infra.ssh import SshAccess

SUBJECT = "ports"
FORWARDER = re.compile(
    r"docker-proxy -proto (?P<protocol>\w+) -host-ip (?P<ip>\S+) -host-port (?P<external>\d+)"
    r" -container-ip (?P<to>\S+) -container-port (?P<internal>\d+)"
)


# Whether PostgreSQL and Redis have a server of their own → who publishes ports.
PUBLISHERS = {False: ["proxy"], True: ["postgres", "proxy", "redis"]}


def test_only_the_proxy_publishes(engine: Engine, outputs: StackOutputs) -> None:
    """Exactly the declared ports are published, and by nobody else of the stack.

    Remedy: remove the container that publishes more, then `gad up`.
    """
    published = [
        f"{name}: {port['IP']}:{port['PublicPort']}->{port['PrivatePort']}/{port['Type']}"
        for each in engine.containers
        for name in [each["Names"][0].lstrip("/")]
        for port in each["Ports"]
        if "PublicPort" in port
    ]
    assert sorted(published) == sorted(
        f"{each.name}: {port}" for each in outputs.containers.values() for port in each.published
    )


def test_only_the_proxy_is_declared_to_publish(outputs: StackOutputs) -> None:
    """No container but the proxy is declared to publish a port, nor data's but to another server.

    Remedy: take the port out of the component: everything comes in through the proxy.
    """
    publish = [role for role, declared in outputs.containers.items() if declared.ports]
    assert sorted(publish) == PUBLISHERS[outputs.data_server is not None]


def test_port_listens(
    machines: Mapping[SshAccess | None, Host], outputs: StackOutputs, port: PortDeclared
) -> None:
    """The host listens on it, at the declared address and no other.

    Remedy: `docker ps` or `ss -lnp` names another listener; stop it, or set another port in the stack file.
    """
    (role,) = [role for role, each in outputs.containers.items() if port in each.published]
    machine = machines[outputs.server_of(role)]
    assert listeners(machine, port.protocol, port.external) == [port.ip]


def test_nothing_else_is_forwarded(
    machines: Mapping[SshAccess | None, Host], engine: Engine, outputs: StackOutputs
) -> None:
    """Nothing on the host forwards to a container of the stack but the declared ports.

    Remedy: remove the container or process that forwards, then `gad up`.
    """
    addresses = {
        each["IPAddress"]
        for role in outputs.containers
        for each in engine.running(role).inspect["NetworkSettings"]["Networks"].values()
    }
    forwarders = FORWARDER.finditer("\n".join(command_lines(each) for each in machines.values()))
    forwarded = {
        f"{each['ip']}:{each['external']}->{each['internal']}/{each['protocol']}"
        for each in forwarders
        if each["to"] in addresses
    }
    declared = {str(port) for each in outputs.containers.values() for port in each.published}
    assert sorted(forwarded - declared) == []
    assert addresses != set()
