"""One running stack for all tests of this folder; they leave it as they found it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import docker
import pytest

from tests.engine.stack.checkout import ROOT, STACK, Checkout, Command


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """This machine's engine."""
    connected = docker.from_env()
    yield connected
    connected.close()


@pytest.fixture(scope="session")
def core_images() -> None:
    """The images that a stack needs are built, or built now."""
    build = [str(ROOT / "bin" / "gad"), "images", "build", "--group", "core"]
    Command.run(build, ROOT, dict(os.environ), "").succeeded()


@pytest.fixture(scope="session")
def checkout(core_images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A copy of this checkout whose stack is up."""
    made = Checkout.copy(tmp_path_factory.mktemp("checkout") / "gad")
    made.gad("up", STACK, "--no-verify").succeeded()
    yield made
    made.gad("clean", STACK, "--yes").succeeded()
