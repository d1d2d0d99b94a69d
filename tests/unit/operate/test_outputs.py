"""What `gad` reads is exactly what the program leaves in the state."""

from __future__ import annotations

import pytest

from infra.components.container import Declared
from infra.errors import GadError
from infra.operate.outputs import ContainerDeclared, PortDeclared, StackOutputs, read_outputs
from infra.stack_facts import Facts


def test_outputs_are_read_whole() -> None:
    assert sorted(StackOutputs.model_fields) == sorted(Facts.__annotations__)


def test_declared_containers_are_read_whole() -> None:
    assert sorted(ContainerDeclared.model_fields) == sorted(Declared.__annotations__)


@pytest.mark.parametrize("text", ["127.0.0.1:8443->8443/tcp", "0.0.0.0:443->8443/udp"])
def test_a_port_is_read_and_said_alike(text: str) -> None:
    assert str(PortDeclared.parse(text)) == text


def test_a_port_without_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="8443->8443/tcp"):
        PortDeclared.parse("8443->8443/tcp")


@pytest.mark.parametrize(
    ("outputs", "fact"),
    [
        ({}, "nothing of stack dev is declared: no update of it has begun"),
        (
            {"stack": "dev"},
            "environment in the state of stack dev is not what this checkout declares: Field required",
        ),
    ],
)
def test_what_cannot_be_verified_is_said(outputs: dict[str, object], fact: str) -> None:
    with pytest.raises(GadError) as refused:
        read_outputs("dev", outputs)
    assert refused.value.fact == fact
