"""docker.Tag: a further name for an image on the engine."""

from __future__ import annotations

from docker.errors import NotFound
from docker.utils import parse_repository_tag

from infra.errors import GadError
from infra.toolchain.plugin import Call, Change, Created, Properties, ReadBack, Resource, Schema, Updated

from .connection import Connection
from .contract import TAG
from .image import Images
from .recorded import outputs_of
from .typed import text


class Tag(Resource):
    """Both images outlive it: deleting a tag resource removes neither name, as the official plugin."""

    schema: Schema = TAG

    def __init__(self, connection: Connection, images: Images) -> None:
        self._connection = connection
        self._images = images

    def create(self, call: Call, inputs: Properties) -> Created:
        """Tag the source image, which must be on the engine."""
        del call
        source, target = text(inputs, "sourceImage"), text(inputs, "targetImage")
        repository, tag = parse_repository_tag(target)
        client = self._connection.client()
        try:
            with self._connection.explained(f"tag {source} as {target}"):
                client.tag(source, repository, tag or "latest")
        except NotFound as error:
            raise GadError(
                f"unable to tag {source} as {target}: the engine has no such image",
                remedy="pull it first, by a RemoteImage",
            ) from error
        inspect = self._images.find(source) or {}
        return Created(id=f"{source}.{target}", state=_state(inputs, text(inspect, "Id"), source, target))

    def read(self, call: Call, id_: str, inputs: Properties, state: Properties) -> ReadBack | None:
        """Inspect the source by its name."""
        del call
        if not inputs:
            raise GadError(
                f"the tag {id_} cannot be imported", remedy="declare it: tagging twice changes nothing"
            )
        source, target = text(state, "sourceImage"), text(state, "targetImage")
        inspect, tagged = self._images.find(source), self._images.find(target)
        if inspect is None or tagged is None:
            return None
        return ReadBack(inputs=inputs, state=_state(inputs, text(inspect, "Id"), source, target), id=id_)

    def update(self, call: Call, id_: str, change: Change) -> Updated:
        """Record the inputs; whatever matters replaces."""
        del call, id_
        return Updated(state={**change.state, **outputs_of(change.new_inputs)})

    def delete(self, call: Call, id_: str, inputs: Properties, state: Properties) -> None:
        """Leave both names."""
        del call, id_, inputs, state


def _state(inputs: Properties, image_id: str, source: str, target: str) -> Properties:
    return {**outputs_of(inputs), "id": f"{source}.{target}", "sourceImageId": image_id}
