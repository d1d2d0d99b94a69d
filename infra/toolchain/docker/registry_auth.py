"""Which credentials go to which registry: the provider's `registryAuth`, else the client's own files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from docker.auth import AuthConfig, convert_to_hostname, load_config, resolve_repository_name
from docker.errors import DockerException
from docker.utils import parse_repository_tag

from infra.errors import GadError
from infra.toolchain.plugin import Properties

from .typed import flag, text

Credentials = dict[str, str]


class RegistryAuth:
    """The entries of `registryAuth`."""

    def __init__(self, entries: Sequence[Properties]) -> None:
        self._entries = {convert_to_hostname(text(each, "address")): each for each in entries}

    def credentials(self, image: str) -> Credentials | None:
        """The credentials for pulling `image`; None leaves it to the client's own configuration.

        Raises GadError for a configuration file that cannot be read.
        """
        registry, _ = resolve_repository_name(parse_repository_tag(image)[0])
        entry = self._entries.get(registry)
        if entry is None:
            return None
        if flag(entry, "authDisabled"):
            return {}
        if username := text(entry, "username"):
            return {
                "username": username,
                "password": text(entry, "password"),
                "serveraddress": registry,
            }
        found = self._configuration(entry, registry).resolve_authconfig(registry)
        return cast(Credentials, found) if found else {}

    def _configuration(self, entry: Properties, registry: str) -> AuthConfig:
        content, path = text(entry, "configFileContent"), text(entry, "configFile")
        try:
            if content:
                return AuthConfig.load_config(None, json.loads(content))
            if path:
                file = Path(path).expanduser()
                if not file.is_file():
                    raise GadError(
                        f"registryAuth of {registry} names {path}, which is not a file",
                        remedy="correct registryAuth.configFile",
                    )
                return load_config(str(file))
            return load_config()
        except (ValueError, DockerException) as error:
            raise GadError(
                f"the registry configuration for {registry} cannot be read",
                remedy="correct registryAuth: a Docker client configuration in JSON is expected",
            ) from error
