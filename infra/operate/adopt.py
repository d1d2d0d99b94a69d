"""Taking over what a lost state left on the engine: volumes with their data first of all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from tempfile import NamedTemporaryFile

import docker

from infra.names import PROJECT
from infra.operate import owned, preflight
from infra.operate.owned import TOKENS, Kind, Owned
from infra.operate.pulumi import Pulumi
from infra.operate.up import Say, unlock

# Where each role's resources stand in the program: (parent's type and logical name, child's logical name).
PARENTS: dict[tuple[Kind, str], tuple[str, str, str]] = {
    ("network", "edge"): ("stack:host:Network", "network", "network-edge"),
    ("network", "data"): ("stack:host:Network", "network", "network-data"),
    ("network", "egress"): ("stack:host:Network", "network", "network-egress"),
    ("network", "store"): ("stack:host:StoreNetwork", "data-network", "data-network-store"),
    ("volume", "postgres"): ("stack:data:Postgres", "postgres", "postgres-data"),
    ("volume", "redis"): ("stack:data:Redis", "redis", "redis-data"),
    ("volume", "proxy"): ("stack:edge:Proxy", "proxy", "proxy-data"),
}


def adopt(pulumi: Pulumi, say: Say) -> tuple[str, ...]:
    """Import the networks and volumes of a stack whose state is lost; return their names.

    Containers hold nothing that the volumes do not: they are removed, and the next update makes them
    anew. Raises GadError.
    """
    unlock(pulumi, say)
    desired = preflight.load_settings(pulumi)
    name = "local" if desired.file.server.kind == "local" else "server"  # as infra/components/host.py
    taken = _take_over(pulumi, say, preflight.engine_of(desired), desired.prefix, name)
    data = preflight.data_engine_of(desired)
    if data is not None:
        taken += _take_over(pulumi, say, data, desired.prefix, "data-server")
    return taken


def _take_over(
    pulumi: Pulumi, say: Say, client: docker.DockerClient, prefix: str, name: str
) -> tuple[str, ...]:
    """Those on one engine; `name` is its provider's."""
    held = owned.owned(client, prefix)
    lost = owned.unknown(held, pulumi.deployment())
    containers = [item for item in lost if item.kind == "container"]
    for item in containers:
        say(f"removing container {item.name}; its data is in volumes, the next update makes it anew")
    owned.remove(client, containers)
    kept = [item for item in lost if (item.kind, item.role) in PARENTS]
    if kept:
        provider = f"urn:pulumi:{pulumi.stack}::{PROJECT}::pulumi:providers:docker::{name}"
        pulumi.read("up", "--yes", "--skip-preview", "--target", provider)
        with NamedTemporaryFile("w", suffix=".json", dir=pulumi.root / ".gad") as file:
            file.write(import_file(kept, provider))
            file.flush()
            pulumi.run("import", "--file", file.name, "--yes", "--generate-code=false", "--protect=false")
    return tuple(item.name for item in kept)


def import_file(items: Iterable[Owned], provider: str) -> str:
    """What `pulumi import --file` reads: each thing under the component that declares it."""
    resources: list[dict[str, str | bool]] = []
    components: set[str] = set()
    for item in items:
        parent_type, parent, child = PARENTS[(item.kind, item.role)]
        if parent not in components:
            components.add(parent)
            resources.append({"type": parent_type, "name": parent, "component": True})
        resources.append(
            {
                "type": TOKENS[item.kind],
                "name": child,
                "id": item.id,
                "parent": parent,
                "provider": "engine",
            }
        )
    return json.dumps({"nameTable": {"engine": provider}, "resources": resources}, indent=2)
