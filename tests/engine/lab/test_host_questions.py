"""What a run asks goes through one shell: the answers are those of a command by itself."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator

import paramiko
import pytest
from paramiko.ssh_exception import SSHException

from infra.host.questions import RootShell
from tests.engine.lab.hardened import Server

pytestmark = pytest.mark.engine


@pytest.fixture
def shell(server: Server) -> Iterator[RootShell]:
    """A shell of root's, over a connection of its own."""
    server.run("true")  # waits until sshd forgives the failures of other tests
    access = server.access
    name = f"[{access.address}]:{access.port}"
    kind, _, public = access.host_key.partition(" ")
    with paramiko.SSHClient() as client:
        key = paramiko.Ed25519Key(data=base64.b64decode(public))
        client.get_host_keys().add(name, kind, key)
        client.connect(
            access.address,
            port=access.port,
            username=access.user,
            key_filename=access.private_key_file,
            look_for_keys=False,
            allow_agent=False,
        )
        transport = client.get_transport()
        assert transport is not None
        channel = transport.open_session()
        channel.exec_command("sudo -H -n sh")
        yield RootShell(channel)


@pytest.mark.parametrize(
    ("command", "status", "out", "err"),
    [
        ("true", 0, "", ""),
        ("id -un", 0, "root", ""),
        ("exit 3", 3, "", ""),
        ("echo 0 0 0; echo 1 2", 0, "0 0 0\n1 2", ""),
        ("printf 'no end'", 0, "no end", ""),
        ("echo; echo", 0, "\n", ""),
        ("echo said; echo wrong >&2; exit 1", 1, "said", "wrong"),
        ("cat; echo 'it had nothing to read'", 0, "it had nothing to read", ""),
        ('echo "it\'s" \'"quoted"\' {}', 0, 'it\'s "quoted" {}', ""),
        ("printf 'a\\377b'", 0, "a\ufffdb", ""),
    ],
)
def test_an_answer_is_that_of_the_command(
    shell: RootShell, command: str, status: int, out: str, err: str
) -> None:
    for _ in range(2):  # the next one begins where this one ended
        told, said = shell.ask(f"sh -c {shlex.quote(command)}")
        assert (told, said.stdout, said.stderr) == (status, out, err)


def test_a_long_answer_comes_whole(shell: RootShell) -> None:
    status, said = shell.ask("sh -c 'seq 200000'")
    assert (status, said.stdout_lines) == (0, [str(number) for number in range(1, 200001)])


def test_a_shell_that_is_gone_is_said(shell: RootShell) -> None:
    with pytest.raises(SSHException, match="the shell that answers has ended"):
        shell.ask("kill $$")


def test_it_leaves_nothing_and_is_one_entry_of_sudo(server: Server) -> None:
    entries = "grep -c COMMAND= /var/log/sudo.log"
    before = int(server.run(entries))
    assert server.apply(dry=True).changed == ()
    # Whether sudo works, the shell, the end of the run, and the two questions of this test.
    assert int(server.run(entries)) - before <= 5
    assert server.run("ls -d /run/gad-run.* || true") == ""
