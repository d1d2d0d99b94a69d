"""One bare lab, and one hardened lab, for all tests of this folder; they leave both as they found them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import docker
import pytest

from infra.operate.lab import Lab
from tests.engine.lab.hardened import DEPLOYER, Runs, Server, harden
from tests.engine.lab.server import lab_server
from tests.engine.lab.staging import STACK
from tests.engine.stack.checkout import Checkout


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """This machine's engine."""
    connected = docker.from_env()
    yield connected
    connected.close()


@pytest.fixture(scope="session")
def machine() -> Iterator[Lab]:
    """A bare lab, as a hoster hands a server over."""
    with lab_server("lab") as made:
        yield made


@pytest.fixture(scope="module")
def brought_up(checkout: Checkout) -> str:
    """What the update said that made a staging out of bare labs: of the `checkout` of a test's own module."""
    ran = checkout.gad("up", STACK).succeeded()
    return ran.out + ran.err


@pytest.fixture(scope="session")
def runs() -> Iterator[Runs]:
    """A lab of its own, looked at before and after a first, a second and a dry run of the host deploy."""
    with lab_server("host") as made:
        public = (made.name.folder / "id_ed25519.pub").read_text().strip()
        access = replace(made.access, user=DEPLOYER)
        yield harden(Server(access=access, first=made.access, public_key=public))


@pytest.fixture(scope="session")
def server(runs: Runs) -> Server:
    """The hardened lab."""
    return runs.server
