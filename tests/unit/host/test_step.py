"""What a step is given: the values it declares to serve, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.errors import GadError
from infra.host import step as module
from infra.host.controls import Values
from infra.host.plan import HostPlan

PLAN = HostPlan(
    os="debian-13",
    deploy_user="deploy",
    deploy_keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUR",),
    ssh_port=22,
    open_ports=(),
    values=Values({"a.served": 1, "b.other": 2}),
)


def directly(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """In place of pyinfra's decorator, which needs a connected server."""
    return lambda function: function


def test_a_step_reads_what_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "deploy", directly)
    monkeypatch.setattr(module, "STEPS", {})

    @module.step("Some step", serves=("a.*",))
    def some_step(plan: HostPlan, values: Values, control: str) -> int:
        return values.number(control)

    assert some_step(PLAN, "a.served") == 1
    with pytest.raises(GadError, match=r"b\.other is no control here"):
        some_step(PLAN, "b.other")
    assert [each.serves for each in module.STEPS.values()] == [("a.*",)]
