"""Which credentials go to which registry."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from infra.errors import GadError
from infra.toolchain.docker.registry_auth import RegistryAuth

AUTHS = json.dumps(
    {"auths": {"registry.example.org": {"auth": base64.b64encode(b"officer:from-file").decode()}}}
)
IMAGE = "registry.example.org/gad/app@sha256:" + "0" * 64


def password(auth: RegistryAuth, image: str = IMAGE) -> str | None:
    found = auth.credentials(image)
    return None if found is None else found.get("password")


@pytest.mark.parametrize("address", ["registry.example.org", "https://registry.example.org/v2/"])
def test_credentials_by_name(address: str) -> None:
    entry = {"address": address, "username": "officer", "password": "stated"}
    assert password(RegistryAuth([{**entry}])) == "stated"


def test_another_registry_is_left_to_the_client() -> None:
    auth = RegistryAuth([{"address": "registry.example.org", "username": "a", "password": "b"}])
    assert auth.credentials("127.0.0.1:5000/gad/app:1") is None


def test_a_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(AUTHS)
    assert (
        password(RegistryAuth([{"address": "registry.example.org", "configFile": str(file)}])) == "from-file"
    )


def test_the_content_of_a_configuration_file() -> None:
    entry = {"address": "registry.example.org", "configFileContent": AUTHS}
    assert password(RegistryAuth([{**entry}])) == "from-file"


def test_no_credentials_where_they_are_switched_off() -> None:
    entry = {"address": "registry.example.org", "authDisabled": True, "username": "a", "password": "b"}
    assert RegistryAuth([{**entry}]).credentials(IMAGE) == {}


@pytest.mark.parametrize("entry", [{"configFile": "/nowhere/config.json"}, {"configFileContent": "{"}])
def test_a_configuration_that_cannot_be_read_is_named(entry: dict[str, str]) -> None:
    auth = RegistryAuth([{"address": "registry.example.org", **entry}])
    with pytest.raises(GadError, match=r"registry\.example\.org"):
        auth.credentials(IMAGE)
