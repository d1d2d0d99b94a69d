"""What a lab is for: a bare server becomes staging, by the words that `gad lab up` prints; power fails."""

from __future__ import annotations

import time
from collections.abc import Iterator

import docker
import pytest
import yaml

from infra.operate import lab_engine
from infra.operate.images.build import build_images
from infra.operate.images.progress import reporting
from infra.operate.lab import Lab
from tests.engine.lab.server import ROOT, lab_server
from tests.engine.stack.checkout import Checkout

pytestmark = pytest.mark.engine

STACK = "staging"
RECOVERY_S = 60  # measured: 10 s; a busy machine gets time


@pytest.fixture(scope="module")
def machine() -> Iterator[Lab]:
    """A bare lab of its own: the update hardens it."""
    with lab_server("stack") as made:
        yield made


@pytest.fixture(scope="module")
def checkout(machine: Lab, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of this checkout whose staging is the lab; no more is changed than what the lab says."""
    with reporting() as reporter:
        build_images(ROOT, reporter, group="core")
    made = Checkout.copy(tmp_path_factory.mktemp("lab") / "gad").of_stack(STACK)
    file = made.root / f"Pulumi.{STACK}.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"] |= yaml.safe_load((machine.name.folder / "stack.yaml").read_text())
    file.write_text(yaml.safe_dump(document))
    made.gad("images", "lock", "--stack", STACK, "--registry", "127.0.0.1:5000/gad").succeeded()
    made.gad("secrets", "init", STACK).succeeded()
    return made  # the stack goes with the lab


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
