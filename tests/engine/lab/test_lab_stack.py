"""What a lab is for: a bare server becomes staging by the words that `gad lab up` prints; power fails, people
change things by hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import docker
import pytest

from infra.operate import lab_engine
from infra.operate.lab import Lab
from infra.operate.place import place_of
from tests.engine.lab.hardened import Server
from tests.engine.lab.mutations import ON_SERVER, ON_STACK, Mutation
from tests.engine.lab.server import ROOT, lab_server
from tests.engine.lab.staging import LONG, STACK, differences, of_lab, staging_checkout
from tests.engine.stack.checkout import Checkout

pytestmark = pytest.mark.engine

BY_HAND = (*ON_SERVER, *ON_STACK)
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


@pytest.fixture(scope="module")
def server(checkout: Checkout, machine: Lab, brought_up: str) -> Server:
    """The lab as staging's deploy user reaches it."""
    access = place_of(checkout.root, STACK).server
    assert access is not None
    return Server(access=access, first=machine.access, public_key="")


def is_named(each: Mutation, found: list[dict[str, str]]) -> bool:
    """Whether one of the differences is what was done."""
    subject, word = each.named
    return any(
        one["subject"] == subject and word in f"{one['aspect']} {one['expected']} {one['found']}"
        for one in found
    )


def test_staging_on_a_lab_is_as_declared_and_outlives_a_power_failure(
    checkout: Checkout, client: docker.DockerClient, machine: Lab, brought_up: str
) -> None:
    assert "the server is bare" in brought_up
    assert "as declared: all" in brought_up
    assert f"https://localhost:{machine.port + 1000}/health/ready" in brought_up

    client.containers.get(machine.name.prefix).restart(timeout=0)
    lab_engine.up(ROOT, machine.name.name, print)
    deadline = time.monotonic() + RECOVERY_S
    while checkout.gad("status", STACK).ran.code != 0:
        assert time.monotonic() < deadline, checkout.gad("status", STACK).ran.out
    assert "as declared: all" in checkout.gad("verify", STACK).succeeded().out
    checkout.pulumi("preview", "--refresh", "--expect-no-changes").succeeded()


def test_what_was_done_by_hand_is_named_and_put_back(checkout: Checkout, server: Server) -> None:
    """Twenty things at once, none hidden by another; nothing is put back while the host key is another."""
    assert differences(checkout) == []
    for each in BY_HAND:
        each.apply(server)
    found = differences(checkout)
    assert [each.name for each in BY_HAND if not is_named(each, found)] == [], found

    refused = checkout.gad("drift", STACK, "--fix").failed(1)
    assert "host key" in refused.err
    assert "Traceback" not in refused.err
    for each in BY_HAND:
        if each.undo is not None:
            each.undo(server)
    fixed = checkout.gad("drift", STACK, "--fix").succeeded()
    assert "no differences left" in fixed.out
    assert differences(checkout) == []


@LONG
@pytest.mark.parametrize("each", [pytest.param(one, id=one.name) for one in BY_HAND])
def test_one_thing_done_by_hand_is_all_that_is_named(
    checkout: Checkout, server: Server, each: Mutation
) -> None:
    assert differences(checkout) == []
    each.apply(server)
    found = differences(checkout)
    (each.undo or (lambda _: None))(server)
    checkout.gad("drift", STACK, "--fix").succeeded()
    assert is_named(each, found), found
