"""Names and labels of everything a stack owns. Pure: the same stack gives the same names.

Logical names are roles (`postgres`, `api-blue`); physical names carry the stack's prefix, because
two stacks, or two checkouts, may live on one Docker engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PROJECT = "grupo-gad"

DataClass = Literal["none", "internal", "personal"]
DATA_ROLES = frozenset({"postgres", "redis"})  # what a data server runs, if a stack has one
LABEL_STACK = "gad.stack"
LABEL_ROLE = "gad.role"
LABEL_DATA_CLASS = "gad.data-class"
LABEL_PREFIX = "gad.prefix"  # tells apart stacks of one name in several checkouts


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
