"""Every control of config/controls.yaml that holds on the server, by what the server says over SSH."""

from __future__ import annotations

import pytest
from over_ssh import host_of

from infra.host.controls import Control
from infra.operate.verify import Look, ServerUnderTest

from . import topics
from .facts import Facts, UnreachableError, ask
from .proof import plain, prove

SUBJECT = "server"
MODULES = topics.TOPICS  # their questions and judges are there once they are imported


@pytest.fixture(scope="session")
def facts(server: ServerUnderTest) -> Facts:
    """What the server says, asked once. Fails the test if it cannot be asked."""
    try:
        return ask(host_of(server.access), server.plan, as_root=server.access.user == "root")
    except UnreachableError as error:
        pytest.fail(f"{server.access.address} cannot be asked: {error}")


def test_control(control: Control, facts: Facts, request: pytest.FixtureRequest) -> None:
    """The server is as config/controls.yaml says.

    Remedy: `gad host diff STACK` says what differs, `gad host apply STACK` puts it right.
    """
    proof = prove(facts, control)
    look = Look(
        source=proof.source,
        lab=facts.in_container,
        expected=plain(proof.expected),
        found=plain({what: proof.found.get(what) for what in proof.expected}),
    )
    request.node.user_properties.append(("look", look.model_dump_json()))
    proof.demand(control.id)
