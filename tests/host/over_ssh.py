"""Commands on the machine that runs the stack and in its containers, here or over SSH.

testinfra's own backends read the options of `ssh` and the engine's address from elsewhere; these take the
stack's connection, with its pinned host key.
"""

from __future__ import annotations

import shlex
from typing import Any

import testinfra
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from infra.operate.server import line_to
from infra.ssh import SshAccess


class _OverSsh(BaseBackend):
    """A server, or with `entering` a container on it."""

    NAME = "server"

    def __init__(self, server: SshAccess, entering: tuple[str, ...] = ()) -> None:
        super().__init__(server.address)
        self._line = line_to(server)
        self._entering = entering

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:  # noqa: ARG002  (the interface's)
        """Run it in a shell there."""
        script = self.get_command(command, *args)
        inner = shlex.join([*self._entering, script]) if self._entering else script
        return self.run_local(shlex.join(self._line.running(inner)))


def _host(backend: BaseBackend) -> Host:
    host = Host(backend)
    backend.set_host(host)
    return host


def host_of(server: SshAccess | None) -> Host:
    """The machine that runs the stack."""
    return testinfra.get_host("local://") if server is None else _host(_OverSsh(server))


def container_of(server: SshAccess | None, name: str) -> Host:
    """A container on it."""
    if server is None:
        return testinfra.get_host(f"docker://{name}")
    return _host(_OverSsh(server, ("docker", "exec", name, "/bin/sh", "-c")))
