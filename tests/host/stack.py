"""The stack under test: its outputs and its state as files, its engine and its host as they are."""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from edge import Edge
from engine import Engine
from over_ssh import host_of
from secret_values import SecretValues, read_secrets
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from infra.operate.outputs import StackOutputs
from infra.ssh import SshAccess


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
        """The machine that runs the application's engine."""
        return self.hosts[self.outputs.server]

    @cached_property
    def hosts(self) -> dict[SshAccess | None, Host]:
        """Each machine of the stack."""
        return {server: host_of(server) for server in self.outputs.servers}

    @cached_property
    def engine(self) -> Engine:
        """What the engine holds, inspected once."""
        return Engine(self.outputs)

    @cached_property
    def schema(self) -> Future[CommandResult]:
        """What the live slot's code says of the schema. It takes seconds, so it runs beside other checks."""
        pool = ThreadPoolExecutor(max_workers=1)
        try:
            return pool.submit(self._check_schema)
        finally:
            pool.shutdown(wait=False)

    def _check_schema(self) -> CommandResult:
        # The application may read the schema; a path is no secret.
        command = "env GAD_MIGRATION_URL_FILE=/run/gad/secrets/database_url python -m app.migrate check"
        return self.engine.running(self.outputs.live).inside.run(command)

    @cached_property
    def edge(self) -> Edge:
        """The stack as people reach it."""
        return Edge(self.outputs, self.authority)

    @cached_property
    def secrets(self) -> SecretValues:
        """The values of all secrets that the containers were given. Never printed; fails the test if one
        of the containers does not run.
        """
        return read_secrets({role: self.engine.running(role) for role in self._readers})

    def redact(self, message: str) -> str:
        """`message` without any secret of a container that runs: one that does not cannot be asked."""
        for values in self._readable:
            message = values.redact(message)
        return message

    @cached_property
    def _readable(self) -> list[SecretValues]:
        found = []
        for role in self._readers:
            with contextlib.suppress(pytest.fail.Exception):
                found.append(read_secrets({role: self.engine.running(role)}))
        return found

    @property
    def _readers(self) -> list[str]:
        return [
            role
            for role, declared in self.outputs.containers.items()
            if any(mount.target == "/run/gad/secrets" for mount in declared.mounts)
        ]
