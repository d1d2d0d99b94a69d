"""What a lab is for: a bare server becomes staging, by the words that `gad lab up` prints; power fails."""

from __future__ import annotations

import time
from collections.abc import Iterator

import docker
import pytest

from infra.operate import lab_engine
from infra.operate.lab import Lab
from tests.engine.lab.server import ROOT, lab_server
from tests.engine.lab.staging import STACK, of_lab, staging_checkout
from tests.engine.stack.checkout import Checkout

pytestmark = pytest.mark.engine

RECOVERY_S = 60  # measured: 10 s; a busy machine gets time


@pytest.fixture(scope="module")
def machine() -> Iterator[Lab]:
    """A bare lab of its own: the update hardens it."""
    with lab_server("stack") as made:
        yield made


@pytest.fixture(scope="module")
def checkout(machine: Lab, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of this checkout whose staging is the lab; no more is changed than what the lab says."""
    folder = tmp_path_factory.mktemp("lab") / "gad"
    return staging_checkout(folder, lambda config: config.update(of_lab(machine.name.folder)))


def test_staging_on_a_lab_is_as_declared_and_outlives_a_power_failure(
    checkout: Checkout, client: docker.DockerClient, machine: Lab
) -> None:
    up = checkout.gad("up", STACK).succeeded()
    assert "the server is bare" in up.out + up.err
    assert "as declared: all" in up.out
    assert f"https://localhost:{machine.port + 1000}/health/ready" in up.out

    client.containers.get(machine.name.prefix).restart(timeout=0)
    lab_engine.up(ROOT, machine.name.name, print)
    deadline = time.monotonic() + RECOVERY_S
    while checkout.gad("status", STACK).ran.code != 0:
        assert time.monotonic() < deadline, checkout.gad("status", STACK).ran.out
    assert "as declared: all" in checkout.gad("verify", STACK).succeeded().out
    checkout.pulumi("preview", "--refresh", "--expect-no-changes").succeeded()
