"""What the engine says of a stack, and what a look inside its containers says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import pytest
from over_ssh import container_of
from testinfra.host import Host

from infra.operate.docker_engine import connect
from infra.operate.outputs import StackOutputs
from infra.ssh import SshAccess

# One look per container: an exec costs 0.1 s, and there are dozens of questions.
LOOK = Path(__file__).with_name("look.sh").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Process:
    """What the kernel holds of one process: hexadecimal capability sets, flags."""

    uids: frozenset[int]
    capabilities: frozenset[int]
    no_new_privileges: int
    seccomp: int


@dataclass(frozen=True)
class Filesystem:
    """One line of /proc/mounts."""

    target: str
    kind: str
    options: frozenset[str]


@dataclass(frozen=True)
class Look:
    """What one look inside a container found."""

    sections: dict[str, list[str]]

    @property
    def processes(self) -> list[Process]:
        """All processes but those that the engine is bringing in from outside (parent 0): half-made ones."""
        fields = [_fields(line) for line in self.sections["processes"]]
        return [_process(each) for each in fields if each["Pid"] == ["1"] or each["PPid"] != ["0"]]

    @property
    def filesystems(self) -> list[Filesystem]:
        """All mounts."""
        fields = [line.split() for line in self.sections["mounts"]]
        return [Filesystem(f[1], f[2], frozenset(f[3].split(","))) for f in fields]


def _fields(line: str) -> dict[str, list[str]]:
    words = line.split()
    starts = [index for index, word in enumerate(words) if word.endswith(":")]
    ends = [*starts[1:], len(words)]
    return {words[a].rstrip(":"): words[a + 1 : b] for a, b in zip(starts, ends, strict=True)}


def _process(fields: dict[str, list[str]]) -> Process:
    return Process(
        uids=frozenset(int(uid) for uid in fields["Uid"]),
        capabilities=frozenset(int(v[0], 16) for key, v in fields.items() if key.startswith("Cap")),
        no_new_privileges=int(fields["NoNewPrivs"][0]),
        seccomp=int(fields["Seccomp"][0]),
    )


class Running:
    """A declared container that runs: the engine's record of it, of its image, and the inside."""

    def __init__(
        self, engine: docker.DockerClient, server: SshAccess | None, name: str, inspect: dict[str, Any]
    ) -> None:
        self._engine = engine
        self._server = server
        self.name = name
        self.inspect = inspect
        self.config: dict[str, Any] = inspect["Config"]
        self.host_config: dict[str, Any] = inspect["HostConfig"]

    @cached_property
    def image(self) -> dict[str, Any]:
        """The engine's record of its image."""
        found: dict[str, Any] = self._engine.api.inspect_image(self.inspect["Image"])
        return found

    @cached_property
    def inside(self) -> Host:
        """The container itself, for commands in it."""
        return container_of(self._server, self.name)

    @cached_property
    def look(self) -> Look:
        """One look inside. Fails the test if it cannot be taken whole."""
        found = self.inside.run(LOOK)
        sections: dict[str, list[str]] = {}
        current: list[str] = []
        for line in found.stdout.splitlines():
            if line.startswith("== "):
                current = sections.setdefault(line.removeprefix("== "), [])
            elif line.strip():
                current.append(line)
        if "end" not in sections:
            pytest.fail(f"no look inside {self.name} (exit {found.rc})", pytrace=False)
        return Look(sections)

    @cached_property
    def log(self) -> str:
        """The last lines of its log."""
        return self._engine.api.logs(self.name, tail=5000).decode(errors="replace")


class Engine:
    """The engines of the stack's machines, and what they hold under its labels."""

    def __init__(self, outputs: StackOutputs) -> None:
        self._outputs = outputs
        self.clients = {server: connect(server) for server in outputs.servers}
        self._running: dict[str, Running] = {}

    def running(self, role: str) -> Running:
        """The container of a declared role. Fails the test if it does not run."""
        if role not in self._running:
            name = self._outputs.containers[role].name
            server = self._outputs.server_of(role)
            client = self.clients[server]
            try:
                inspect = client.api.inspect_container(name)
            except docker.errors.NotFound:
                pytest.fail(f"container {name} does not exist", pytrace=False)
            if inspect["State"]["Status"] != "running":
                pytest.fail(f"container {name} does not run: {inspect['State']['Status']}", pytrace=False)
            self._running[role] = Running(client, server, name, inspect)
        return self._running[role]

    @cached_property
    def containers(self) -> list[dict[str, Any]]:
        """All containers of the stack, declared or not, stopped or not."""
        return [
            each
            for client in self.clients.values()
            for each in client.api.containers(all=True, filters=self._filters)
        ]

    @cached_property
    def networks(self) -> dict[str, dict[str, Any]]:
        """All networks of the stack by name."""
        return {
            each["Name"]: client.api.inspect_network(each["Id"])
            for client in self.clients.values()
            for each in client.api.networks(filters=self._filters)
        }

    @cached_property
    def volumes(self) -> dict[str, dict[str, Any]]:
        """All volumes of the stack by name."""
        return {
            each["Name"]: each
            for client in self.clients.values()
            for each in client.api.volumes(filters=self._filters)["Volumes"] or []
        }

    @property
    def _filters(self) -> dict[str, list[str]]:
        return {"label": [f"gad.prefix={self._outputs.prefix}"]}
