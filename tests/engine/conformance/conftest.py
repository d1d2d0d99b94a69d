"""The engine and the plugins for every conformance test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.engine.conformance import images
from tests.engine.conformance.harness import Stack, plugin_folder
from tests.engine.conformance.images import TestImages


@pytest.fixture(scope="session")
def engine_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the engine and our plugins."""
    return plugin_folder(tmp_path_factory.mktemp("engine") / "bin")


@pytest.fixture(scope="session")
def new_stack(engine_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stack]:
    """Make an empty stack with a name of one's own choice."""

    def make(name: str) -> Stack:
        return Stack(tmp_path_factory.mktemp(name) / "stack", engine_bin)

    return make


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """The Docker engine of this machine."""
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="session")
def conformance_images(docker_client: docker.DockerClient) -> TestImages:
    """Two images in the local registry."""
    return images.conformance_images(docker_client)
