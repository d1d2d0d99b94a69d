"""What the engine holds of a stack, found by label, beside what the state knows of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import docker

from infra.names import LABEL_PREFIX, LABEL_ROLE, PASSING, SCRATCH
from infra.operate.pulumi import Deployment

Kind = Literal["container", "network", "volume"]

TOKENS: dict[Kind, str] = {
    "container": "docker:index/container:Container",
    "network": "docker:index/network:Network",
    "volume": "docker:index/volume:Volume",
}


@dataclass(frozen=True, order=True)
class Owned:
    """A container, network or volume that carries the stack's labels."""

    kind: Kind
    name: str
    id: str  # a volume's id is its name
    role: str


def owned(client: docker.DockerClient, prefix: str) -> tuple[Owned, ...]:
    """Everything on the engine that is labelled as belonging to the stack with this prefix."""
    filters = {"label": [f"{LABEL_PREFIX}={prefix}"]}
    # Plain listings: the high-level ones inspect each item, and fail if one goes away meanwhile.
    containers = [
        Owned("container", c["Names"][0].lstrip("/"), c["Id"], c["Labels"].get(LABEL_ROLE, ""))
        for c in client.api.containers(all=True, filters=filters)
    ]
    networks = [
        Owned("network", n["Name"], n["Id"], n["Labels"].get(LABEL_ROLE, ""))
        for n in client.api.networks(filters=filters)
    ]
    volumes = [
        Owned("volume", v["Name"], v["Name"], v["Labels"].get(LABEL_ROLE, ""))
        for v in client.api.volumes(filters=filters)["Volumes"] or []
    ]
    return tuple(sorted([*containers, *networks, *volumes]))


def unknown(held: Iterable[Owned], deployment: Deployment) -> tuple[Owned, ...]:
    """Of what the engine holds, what the state does not know and no step of an update brought along."""
    known = {(kind, resource.id) for kind, token in TOKENS.items() for resource in deployment.of_type(token)}
    return tuple(item for item in held if (item.kind, item.id) not in known and item.role not in PASSING)


def interrupted(held: Iterable[Owned], deployment: Deployment) -> tuple[Owned, ...]:
    """Of what the state does not know, what an interrupted update is on record as having begun.

    Containers and networks hold no data, so the next update may make them anew; a volume of that name
    is simply taken over by it.
    """
    begun = {
        (operation.resource.type, operation.resource.inputs.get("name"))
        for operation in deployment.pending_operations
        if operation.type == "creating"
    }
    return tuple(item for item in unknown(held, deployment) if (TOKENS[item.kind], item.name) in begun)


def scratch(held: Iterable[Owned]) -> tuple[Owned, ...]:
    """Of what the engine holds, what a migration was rehearsed on. It goes with the rehearsal, unless that is
    killed; the data in it is a copy."""
    return tuple(item for item in held if item.role == SCRATCH)


def remove(client: docker.DockerClient, items: Iterable[Owned]) -> None:
    """Remove containers first, then what they used. A thing that is gone already is fine."""
    order: dict[Kind, int] = {"container": 0, "network": 1, "volume": 2}
    for item in sorted(items, key=lambda owned: order[owned.kind]):
        try:
            match item.kind:
                case "container":
                    # With its anonymous volume: a copy's data. Volumes with a name stay.
                    client.api.remove_container(item.id, force=True, v=item.role == SCRATCH)
                case "network":
                    client.api.remove_network(item.id)
                case "volume":
                    client.api.remove_volume(item.id)
        except docker.errors.NotFound:
            continue
