"""Finding an image on the engine, pulling it when it is not there."""

from __future__ import annotations

from docker.errors import APIError, ImageNotFound, NotFound

from infra.errors import GadError
from infra.toolchain.plugin import Call, Properties

from .connection import Connection, json_object, reason
from .registry_auth import RegistryAuth


class Images:
    """The images of one engine."""

    def __init__(self, connection: Connection, auth: RegistryAuth) -> None:
        self._connection = connection
        self._auth = auth

    def find(self, name: str) -> Properties | None:
        """Inspect the image `name` (reference, digest or id); None when the engine has none."""
        client = self._connection.client()
        try:
            with self._connection.explained(f"inspect the image {name}"):
                return json_object(client.inspect_image(name))  # type: ignore[no-untyped-call]
        except NotFound:
            return None

    def find_or_pull(self, call: Call, name: str, platform: str = "") -> Properties:
        """Inspect the image, after pulling it when it is missing. Raises GadError naming the image."""
        found = self.find(name)
        if found is None:
            self._pull(call, name, platform)
            found = self.find(name)
        if found is None:
            raise GadError(f"unable to find the image {name} after pulling it", remedy="")
        return found

    def _pull(self, call: Call, name: str, platform: str) -> None:
        call.log("info", f"pulling {name}")
        client = self._connection.client()
        credentials = self._auth.credentials(name)
        try:
            with self._connection.explained(f"pull image {name}"):
                for step in client.pull(
                    name, stream=True, decode=True, auth_config=credentials, platform=platform or None
                ):
                    if call.cancelled.is_set():
                        call.wait(0, f"the image {name}")
                    if "error" in step:
                        raise GadError(
                            f"unable to pull image {name}: error pulling image {name}: {step['error']}",
                            remedy="",
                        )
        except (NotFound, ImageNotFound) as error:
            raise _missing(name, error) from error


def _missing(name: str, error: APIError) -> GadError:
    return GadError(
        f"unable to pull image {name}: error pulling image {name}: {reason(error)}",
        remedy="check the digest, or build and push the image",
    )
