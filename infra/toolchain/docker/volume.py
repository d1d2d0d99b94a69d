"""docker.Volume."""

from __future__ import annotations

from docker.errors import NotFound

from infra.toolchain.plugin import Call, Change, Created, Properties, ReadBack, Resource, Schema, Updated

from .connection import Connection, daemon_error, json_object
from .container_body import labels
from .contract import VOLUME
from .recorded import outputs_of
from .removal import remove_when_free, too_late
from .typed import text, words


class Volume(Resource):
    """A volume; its id is its name."""

    schema: Schema = VOLUME
    autoname = "name"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, call: Call, inputs: Properties) -> Created:
        """Make it; one that exists already is taken as it is, as the engine does."""
        del call
        client = self._connection.client()
        name = text(inputs, "name")
        with self._connection.explained(f"create volume {name}"):
            inspect = json_object(
                client.create_volume(
                    name,
                    driver=text(inputs, "driver") or None,
                    driver_opts=words(inputs, "driverOpts") or None,
                    labels=labels(inputs) or None,
                )
            )
        return Created(id=name, state=volume_state(inspect, inputs))

    def read(self, call: Call, id_: str, inputs: Properties, state: Properties) -> ReadBack | None:
        """Inspect it."""
        del call
        client = self._connection.client()
        try:
            with self._connection.explained(f"read volume {id_}"):
                inspect = json_object(client.inspect_volume(id_))
        except NotFound:
            return None
        if not inputs:
            inputs = imported_volume(inspect)
            state = inputs
        return ReadBack(inputs=inputs, state=volume_state(inspect, state))

    def update(self, call: Call, id_: str, change: Change) -> Updated:
        """Record the inputs; whatever matters replaces."""
        del call, id_
        return Updated(state={**change.state, **outputs_of(change.new_inputs)})

    def delete(self, call: Call, id_: str, inputs: Properties, state: Properties) -> None:
        """Remove it with its data, waiting for containers that are on their way out."""
        del inputs, state
        client = self._connection.client()
        remove_when_free(
            call,
            lambda: client.remove_volume(id_),
            f"volume {id_}",
            lambda error: daemon_error(too_late(f"volume {id_}"), error),
        )


def volume_state(inspect: Properties, recorded: Properties) -> Properties:
    """The outputs: what the engine chose over what was recorded."""
    state = outputs_of(recorded)
    state |= {
        "driver": text(inspect, "Driver"),
        "id": text(inspect, "Name"),
        "mountpoint": text(inspect, "Mountpoint"),
        "name": text(inspect, "Name"),
    }
    return state


def imported_volume(inspect: Properties) -> Properties:
    """The inputs that would make this volume."""
    found: Properties = {
        "name": text(inspect, "Name"),
        "driver": text(inspect, "Driver"),
        "driverOpts": dict(words(inspect, "Options")),
        "labels": [
            {"label": label, "value": value} for label, value in sorted(words(inspect, "Labels").items())
        ],
    }
    return {key: value for key, value in found.items() if value not in ("", [], {})}
