"""Names and labels of everything a stack owns. Pure: the same stack gives the same names.

Logical names are roles (`postgres`, `api-blue`); physical names carry the stack's prefix, because
two stacks, or two checkouts, may live on one Docker engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal, get_args

PROJECT = "grupo-gad"

DataClass = Literal["none", "internal", "personal"]
DATA_PORTS: Mapping[str, int] = {"postgres": 5432, "redis": 6379}
DATA_ROLES = frozenset(DATA_PORTS)  # what a data server runs, if a stack has one
LABEL_STACK = "gad.stack"
LABEL_ROLE = "gad.role"
LABEL_DATA_CLASS = "gad.data-class"
LABEL_PREFIX = "gad.prefix"  # tells apart stacks of one name in several checkouts
# Roles of what a step of an update makes and removes: no resource, so no state knows it.
SCRATCH = "scratch"  # a copy to try a migration on
PASSING = frozenset({"migration", SCRATCH})

# Networks, in the order of the /24s they get of the stack's /22.
# `store`: PostgreSQL and Redis, where they are on a server of their own.
NetworkRole = Literal["edge", "data", "egress", "store"]
PARTS: tuple[NetworkRole, ...] = get_args(NetworkRole)


def part_of(subnet: IPv4Network, role: NetworkRole) -> IPv4Network:
    """The addresses of one network. Raises ValueError or IndexError for a subnet that has no such part."""
    return list(subnet.subnets(new_prefix=24))[PARTS.index(role)]


@dataclass(frozen=True, kw_only=True)
class Names:
    """The physical names of one stack; `prefix` is unique on its Docker engine."""

    stack: str
    prefix: str

    def container(self, role: str) -> str:
        """Container of a role, such as `gad-dev-postgres`."""
        return f"{self.prefix}-{role}"

    def network(self, role: str) -> str:
        """Network of a role, such as `gad-dev-data`."""
        return f"{self.prefix}-{role}"

    def volume(self, role: str) -> str:
        """Volume of a role's data, such as `gad-dev-postgres-data`."""
        return f"{self.prefix}-{role}-data"

    def labels(self, role: str, data_class: DataClass) -> Mapping[str, str]:
        """Labels that say whose a resource is and what kind of data it can see, sorted by key."""
        return {
            LABEL_DATA_CLASS: data_class,
            LABEL_PREFIX: self.prefix,
            LABEL_ROLE: role,
            LABEL_STACK: self.stack,
        }
