"""docker.RemoteImage: an image on the engine, pulled when it is missing."""

from __future__ import annotations

from docker.errors import NotFound

from infra.errors import GadError
from infra.toolchain.plugin import Call, Change, Created, Properties, ReadBack, Resource, Schema, Updated

from .connection import Connection
from .contract import REMOTE_IMAGE
from .image import Images
from .recorded import outputs_of
from .typed import flag, text, texts


class RemoteImage(Resource):
    """Its id is the image's id followed by the name it was pulled by."""

    schema: Schema = REMOTE_IMAGE

    def __init__(self, connection: Connection, images: Images) -> None:
        self._connection = connection
        self._images = images

    def create(self, call: Call, inputs: Properties) -> Created:
        """Find it or pull it."""
        name = text(inputs, "name")
        try:
            inspect = self._images.find_or_pull(call, name, text(inputs, "platform"))
        except GadError as error:
            raise GadError(
                f"Unable to read Docker image into resource: {error.fact}", remedy=error.remedy
            ) from error
        return Created(id=text(inspect, "Id") + name, state=image_state(inspect, inputs, name))

    def read(self, call: Call, id_: str, inputs: Properties, state: Properties) -> ReadBack | None:
        """Inspect it by its name; an import gives the name as the id."""
        del call
        name = text(state, "name") or text(inputs, "name") or id_
        inspect = self._images.find(name)
        if inspect is None:
            return None
        if not inputs:
            inputs = {"name": name}
            state = inputs
        # The id a tag led to at first stays the resource's id; `imageId` says what it is now.
        kept = id_ if id_ != name else text(inspect, "Id") + name
        return ReadBack(inputs=inputs, state=image_state(inspect, state, name), id=kept)

    def update(self, call: Call, id_: str, change: Change) -> Updated:
        """Only what happens at deletion can change in place."""
        del call, id_
        kept = {
            key: value for key, value in change.state.items() if key not in ("keepLocally", "forceRemove")
        }
        return Updated(state={**kept, **outputs_of(change.new_inputs)})

    def delete(self, call: Call, id_: str, inputs: Properties, state: Properties) -> None:
        """Remove the image unless it is to be kept; one in use is refused by the engine."""
        del call, id_, inputs
        if flag(state, "keepLocally"):
            return
        client = self._connection.client()
        name = text(state, "name")
        try:
            with self._connection.explained(f"remove image {name}"):
                client.remove_image(name, force=flag(state, "forceRemove"))
        except NotFound:
            return


def image_state(inspect: Properties, recorded: Properties, name: str) -> Properties:
    """The outputs."""
    state = outputs_of(recorded)
    state |= {
        "id": text(inspect, "Id") + name,
        "imageId": text(inspect, "Id"),
        "name": name,
        "repoDigest": repo_digest(inspect, name),
    }
    return state


def repo_digest(inspect: Properties, name: str) -> str:
    """The digest under the repository of `name`; an image may be known under several."""
    digests = texts(inspect, "RepoDigests")
    repository = name.split("@", maxsplit=1)[0]
    head, _, last = repository.rpartition("/")
    repository = f"{head}/{last.split(':')[0]}" if head else last.split(":")[0]
    return next((each for each in digests if each.split("@")[0] == repository), "")
