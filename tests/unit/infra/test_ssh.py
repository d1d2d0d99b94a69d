"""What the OpenSSH client is told about a server, as the client itself understands it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from infra.ssh import SshAccess

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+/="


def access(*, private_key_file: str | None = "/keys/deploy key", address: str = "192.0.2.7") -> SshAccess:
    return SshAccess(
        address=address, port=2222, user="deploy", host_key=KEY, private_key_file=private_key_file
    )


def effective(server: SshAccess) -> dict[str, list[str]]:
    """Each setting the client would use, by its name in lower case."""
    command = ["ssh", "-G", *server.options, server.address]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).append(value)
    return found


def test_only_the_pinned_host_key_is_known() -> None:
    seen = effective(access())
    assert seen["knownhostscommand"] == [f"/usr/bin/env echo %H {KEY}"]
    assert (seen["userknownhostsfile"], seen["globalknownhostsfile"]) == (["/dev/null"], ["/dev/null"])
    assert (seen["stricthostkeychecking"], seen["updatehostkeys"]) == (["true"], ["false"])
    assert seen["batchmode"] == ["yes"]


@pytest.mark.parametrize(
    ("file", "offered", "only"),
    [("/keys/deploy key", ["/keys/deploy key"], ["yes"]), (None, ["none"], ["no"])],
)
def test_only_the_named_private_key_is_offered(file: str | None, offered: list[str], only: list[str]) -> None:
    seen = effective(access(private_key_file=file))
    assert (seen["identityfile"], seen["identitiesonly"]) == (offered, only)


def test_nobodys_own_configuration_has_a_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host *\n  ProxyJump elsewhere\n  User somebody\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "proxyjump" not in effective(access())


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("gad.example", "ssh://deploy@gad.example:2222"),
        ("2001:db8::1", "ssh://deploy@[2001:db8::1]:2222"),
    ],
)
def test_the_docker_host(address: str, url: str) -> None:
    assert access(address=address).url == url
