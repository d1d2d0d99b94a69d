"""The offline `docker` provider: its configuration and its types."""

from __future__ import annotations

from infra.toolchain.plugin import Properties, Provider, Resource, Unknown

from .connection import Connection
from .container import Container
from .contract import CONFIG, REFUSED
from .image import Images
from .network import Network
from .registry_auth import RegistryAuth
from .remote_image import RemoteImage
from .tag import Tag
from .typed import flag, objects, text, texts
from .volume import Volume

# The official plugin that this one stands in for.
VERSION = "5.2.0"


class DockerProvider(Provider):
    """One Docker engine."""

    def __init__(self) -> None:
        super().__init__(name="docker", version=VERSION, resources={}, config=CONFIG, refused=REFUSED)
        self._use(Connection(None), RegistryAuth(()))

    def configure(self, config: Properties) -> None:
        """Take host, ssh options and registry credentials; see whether the engine answers.

        A host that is only known after the run leaves the check out: nothing is connected in that preview.
        """
        if any(isinstance(config.get(key), Unknown) for key in ("host", "sshOpts")):
            return
        connection = Connection(text(config, "host") or None, texts(config, "sshOpts"))
        self._use(connection, RegistryAuth(objects(config, "registryAuth")))
        if not flag(config, "disableDockerDaemonCheck"):
            with connection.explained("ping the engine"):
                connection.client().ping()

    def _use(self, connection: Connection, auth: RegistryAuth) -> None:
        images = Images(connection, auth)
        types: list[Resource] = [
            Container(connection, images),
            Network(connection),
            RemoteImage(connection, images),
            Tag(connection, images),
            Volume(connection),
        ]
        self.resources = {each.schema.token: each for each in types}
