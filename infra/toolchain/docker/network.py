"""docker.Network."""

from __future__ import annotations

from collections.abc import Mapping

from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from infra.errors import GadError
from infra.toolchain.plugin import (
    Call,
    Change,
    Created,
    Properties,
    ReadBack,
    Resource,
    Schema,
    Updated,
    Value,
)

from .connection import Connection, json_object
from .container_body import labels
from .contract import NETWORK
from .recorded import outputs_of
from .removal import remove_when_free, too_late
from .typed import flag, objects, text, words


class Network(Resource):
    """A network; nothing of it can change in place."""

    schema: Schema = NETWORK
    autoname = "name"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, call: Call, inputs: Properties) -> Created:
        """Make the network; a second one of the same name is refused."""
        del call
        client = self._connection.client()
        name = text(inputs, "name")
        with self._connection.explained(f"create network {name}"):
            answer = client.create_network(
                name,
                driver=text(inputs, "driver") or None,
                options=words(inputs, "options") or None,
                ipam=_ipam(inputs),
                check_duplicate=True,
                internal=flag(inputs, "internal"),
                labels=labels(inputs) or None,
                enable_ipv6=flag(inputs, "ipv6"),
                attachable=flag(inputs, "attachable") or None,
                ingress=flag(inputs, "ingress") or None,
            )
            id_ = str(answer["Id"])
            inspect = json_object(client.inspect_network(id_))
        return Created(id=id_, state=network_state(inspect, inputs))

    def read(self, call: Call, id_: str, inputs: Properties, state: Properties) -> ReadBack | None:
        """Inspect it; an import may name it instead of giving the id."""
        del call
        client = self._connection.client()
        try:
            with self._connection.explained(f"read network {id_}"):
                inspect = json_object(client.inspect_network(id_))
        except NotFound:
            return None
        if not inputs:
            inputs = imported_network(inspect)
            state = inputs
        return ReadBack(inputs=inputs, state=network_state(inspect, state), id=text(inspect, "Id"))

    def update(self, call: Call, id_: str, change: Change) -> Updated:
        """Record the inputs; whatever matters replaces."""
        del call, id_
        return Updated(state={**change.state, **outputs_of(change.new_inputs)})

    def delete(self, call: Call, id_: str, inputs: Properties, state: Properties) -> None:
        """Remove it, waiting for containers that are on their way out. Raises GadError when some stay."""
        del inputs
        client = self._connection.client()
        name = text(state, "name")
        remove_when_free(
            call,
            lambda: client.remove_network(id_),
            f"network {name}",
            lambda error: self._in_use(id_, name, error),
        )

    def _in_use(self, id_: str, name: str, error: APIError) -> GadError:
        with self._connection.explained(f"read network {name}"):
            inspect = json_object(self._connection.client().inspect_network(id_))
        containers = inspect.get("Containers")
        users = [
            text(each, "Name")
            for each in (containers.values() if isinstance(containers, dict) else ())
            if isinstance(each, dict)
        ]
        by = f"in use by {', '.join(sorted(users))}" if users else str(error.explanation)
        return GadError(
            f"{too_late(f'network {name}')}: it is {by}",
            remedy="disconnect or remove the container and run again",
        )


def network_state(inspect: Properties, recorded: Mapping[str, Value]) -> Properties:
    """The outputs: what the engine chose over what was recorded."""
    ipam = inspect.get("IPAM")
    driver = ipam if isinstance(ipam, dict) else {}
    state = outputs_of(recorded)
    state |= {
        "attachable": flag(inspect, "Attachable"),
        "driver": text(inspect, "Driver"),
        "id": text(inspect, "Id"),
        "ingress": flag(inspect, "Ingress"),
        "internal": flag(inspect, "Internal"),
        "ipamConfigs": _ipam_configs(driver, recorded),
        "ipamDriver": text(driver, "Driver") or "default",
        "ipv6": flag(inspect, "EnableIPv6"),
        "name": text(inspect, "Name"),
        "options": dict(words(inspect, "Options")),
        "scope": text(inspect, "Scope"),
    }
    return state


def imported_network(inspect: Properties) -> Properties:
    """The inputs that would make this network."""
    state = network_state(inspect, {})
    found = {key: value for key, value in state.items() if key not in ("id", "scope")}
    found["labels"] = [
        {"label": label, "value": value} for label, value in sorted(words(inspect, "Labels").items())
    ]
    return {key: value for key, value in found.items() if value not in (None, False, "", [], {})}


def _ipam(inputs: Properties) -> IPAMConfig | None:
    pools = [
        IPAMPool(
            subnet=text(each, "subnet") or None,
            iprange=text(each, "ipRange") or None,
            gateway=text(each, "gateway") or None,
            aux_addresses=words(each, "auxAddress") or None,
        )
        for each in objects(inputs, "ipamConfigs")
    ]
    driver, options = text(inputs, "ipamDriver"), words(inputs, "ipamOptions")
    if not pools and not options and driver in ("", "default"):
        return None
    return IPAMConfig(driver=driver or "default", pool_configs=pools or None, options=options or None)


def _ipam_configs(ipam: Mapping[str, Value], recorded: Mapping[str, Value]) -> list[Value]:
    found: list[Value] = []
    for config in objects(ipam, "Config"):
        entry: Properties = {
            "subnet": text(config, "Subnet"),
            "gateway": text(config, "Gateway"),
            "ipRange": text(config, "IPRange"),
            "auxAddress": dict(words(config, "AuxiliaryAddresses")),
        }
        found.append({key: value for key, value in entry.items() if value not in ("", {})})
    # A stopped engine names no pool of a network that never had a container; what was asked for stands.
    return found or [*objects(recorded, "ipamConfigs")]
