"""The command line of the docker provider's `ssh`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.toolchain.docker.ssh import SshHost


@pytest.fixture
def host() -> Iterator[SshHost]:
    """A host with options of a program that wants to share a connection by itself."""
    made = SshHost("ssh://deploy@gad.example:2222", ["-i", "/key", "-o", "ControlPath=/shared/%C"])
    yield made
    made.close()


def test_the_connection_is_its_own(host: SshHost) -> None:
    paths = [each for each in host.arguments if each.startswith("ControlPath=")]
    assert paths == [f"ControlPath={host.folder}/%C", "ControlPath=/shared/%C"]  # ssh takes the first


def test_options_and_destination_are_kept(host: SshHost) -> None:
    command = host.running("docker ps")
    assert command[-7:] == ["-l", "deploy", "-p", "2222", "--", "gad.example", "docker ps"]
    assert command[command.index("-i") + 1] == "/key"
    assert host.command[-1] == "docker system dial-stdio"
