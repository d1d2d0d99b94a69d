"""The networks of a stack: who can speak to whom."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

import pulumi_docker as docker
from pulumi import ComponentResource, ResourceOptions

from infra.components.host import Host
from infra.names import Names

Role = Literal["edge", "data", "egress"]

INTERNAL: dict[Role, bool] = {
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


class Network(ComponentResource):
    """Edge, data and egress; `names` are the physical ones, to be mounted by role."""

    edge: docker.Network
    data: docker.Network
    egress: docker.Network
    subnets: dict[Role, IPv4Network]

    def __init__(self, name: str, args: NetworkArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:host:Network", name, None, opts)
        self.subnets = dict(zip(INTERNAL, args.subnet.subnets(new_prefix=24), strict=False))
        made = {role: self._network(name, role, args) for role in INTERNAL}
        self.edge, self.data, self.egress = made["edge"], made["data"], made["egress"]
        self.register_outputs({role: network.name for role, network in made.items()})

    def _network(self, name: str, role: Role, args: NetworkArgs) -> docker.Network:
        subnet = self.subnets[role]
        return docker.Network(
            f"{name}-{role}",
            name=args.names.network(role),
            driver="bridge",
            internal=INTERNAL[role],
            ipam_driver="default",
            ipam_configs=[docker.NetworkIpamConfigArgs(subnet=str(subnet), gateway=str(subnet[1]))],
            labels=[
                docker.NetworkLabelArgs(label=key, value=value)
                for key, value in sorted(args.names.labels(role, "none").items())
            ],
            opts=ResourceOptions.merge(
                args.host.options(parent=self), ResourceOptions(delete_before_replace=True)
            ),
        )
