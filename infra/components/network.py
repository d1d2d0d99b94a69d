"""The networks of a stack: who can speak to whom."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Protocol

import pulumi_docker as docker
from pulumi import ComponentResource, ResourceOptions

from infra.components.host import Host
from infra.names import Names, NetworkRole, part_of

INTERNAL: dict[NetworkRole, bool] = {
    "edge": True,  # proxy to API; the API has no way out
    "data": True,  # API, migrations to PostgreSQL and Redis
    "egress": False,  # what must reach or be reached from outside: the proxy, later the bot
}


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """One /22 becomes three /24s, so that addresses stay the same when a network is made again."""

    host: Host
    names: Names
    subnet: IPv4Network
    # PostgreSQL and Redis are on another server: `data` leads there, and by the firewall nowhere else.
    leads_out: bool = False


class _Placed(Protocol):
    @property
    def host(self) -> Host: ...

    @property
    def names(self) -> Names: ...


class Network(ComponentResource):
    """Edge, data and egress; `names` are the physical ones, to be mounted by role."""

    edge: docker.Network
    data: docker.Network
    egress: docker.Network
    subnets: dict[NetworkRole, IPv4Network]

    def __init__(self, name: str, args: NetworkArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:host:Network", name, None, opts)
        self.subnets = {role: part_of(args.subnet, role) for role in INTERNAL}
        self.internal = INTERNAL | ({"data": False} if args.leads_out else {})
        made = {
            role: _bridge(f"{name}-{role}", role, self.subnets[role], args, self, internal=internal)
            for role, internal in self.internal.items()
        }
        self.edge, self.data, self.egress = made["edge"], made["data"], made["egress"]
        self.register_outputs({role: network.name for role, network in made.items()})


@dataclass(frozen=True, kw_only=True)
class StoreNetworkArgs:
    """The same /22 as the other server's networks, of which this one has the last /24."""

    host: Host
    names: Names
    subnet: IPv4Network


class StoreNetwork(ComponentResource):
    """PostgreSQL and Redis on a server of their own. Not internal, or they could publish no port there; the
    firewall lets nothing out of it."""

    store: docker.Network
    subnets: dict[NetworkRole, IPv4Network]

    def __init__(self, name: str, args: StoreNetworkArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:host:StoreNetwork", name, None, opts)
        subnet = part_of(args.subnet, "store")
        self.subnets = {"store": subnet}
        self.internal: dict[NetworkRole, bool] = {"store": False}
        self.store = _bridge(f"{name}-store", "store", subnet, args, self, internal=False)
        self.register_outputs({"store": self.store.name})


def _bridge(
    name: str,
    role: NetworkRole,
    subnet: IPv4Network,
    args: _Placed,
    parent: ComponentResource,
    *,
    internal: bool,
) -> docker.Network:
    return docker.Network(
        name,
        name=args.names.network(role),
        driver="bridge",
        internal=internal,
        ipam_driver="default",
        ipam_configs=[docker.NetworkIpamConfigArgs(subnet=str(subnet), gateway=str(subnet[1]))],
        labels=[
            docker.NetworkLabelArgs(label=key, value=value)
            for key, value in sorted(args.names.labels(role, "none").items())
        ],
        opts=ResourceOptions.merge(
            args.host.options(parent=parent), ResourceOptions(delete_before_replace=True)
        ),
    )
