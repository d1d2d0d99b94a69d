"""The stack under test: its outputs and its state as files, its engine and its host as they are."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import testinfra
from edge import Edge
from engine import Engine
from secret_values import SecretValues, read_secrets
from testinfra.host import Host

from infra.operate.outputs import StackOutputs


class Stack:
    """What was exported, and each thing it is compared with; all of them looked at once, when first asked."""

    def __init__(self, outputs: Path, state: Path, authority: Path | None) -> None:
        self.outputs = StackOutputs.model_validate_json(outputs.read_text(encoding="utf-8"))
        self.state_text = state.read_text(encoding="utf-8")
        self.authority = authority

    @cached_property
    def resources(self) -> list[dict[str, Any]]:
        """What the state knows; secrets in it are encrypted."""
        found: list[dict[str, Any]] = json.loads(self.state_text)["deployment"]["resources"]
        return found

    @cached_property
    def host(self) -> Host:
        """The machine that runs the engine."""
        return testinfra.get_host("local://" if self.outputs.host == "local" else self.outputs.host)

    @cached_property
    def engine(self) -> Engine:
        """What the engine holds, inspected once."""
        return Engine(self.outputs)

    @cached_property
    def edge(self) -> Edge:
        """The stack as people reach it."""
        return Edge(self.outputs, self.authority)

    @cached_property
    def secrets(self) -> SecretValues:
        """The values of all secrets that running containers were given. Never printed."""
        roles = [
            role
            for role, declared in self.outputs.containers.items()
            if any(mount.target == "/run/gad/secrets" for mount in declared.mounts)
        ]
        return read_secrets({role: self.engine.running(role) for role in roles})
