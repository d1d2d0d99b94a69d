"""What a run asks of its server goes through one shell of root's that stays open.

A question by itself is a channel, a login shell and a sudo, and there are 160 of them. Only questions go this
way: what changes the server stays a command of its own, which sudo's log names.
"""

from __future__ import annotations

from collections.abc import Callable

from paramiko.channel import Channel
from paramiko.ssh_exception import SSHException
from pyinfra.api.command import StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import StateStage
from pyinfra.connectors.util import CommandOutput, OutputLine, make_unix_command

from infra.host.connection import transport_of

# What it prints lies on a disk of memory until its length is known, so that no output can look like an end.
BEGIN = "d=$(mktemp -d -p /run gad-run.XXXXXX) || exit; trap 'rm -rf \"$d\"' EXIT; trap exit HUP INT TERM"
ASK = (
    '{} </dev/null >"$d/out" 2>"$d/err"; s=$?; '
    'echo "$s $(stat -c %s "$d/out") $(stat -c %s "$d/err")"; cat "$d/out" "$d/err"'
)
BLOCK = 32768  # bytes read at once: a packet of SSH
# Arguments of pyinfra's that ask for another account, place, environment or end than this shell has.
OTHERS = frozenset(
    {"_sudo_user", "_use_sudo_login", "_preserve_sudo_env", "_su_user", "_doas", "_dzdo"}
    | {"_chdir", "_env", "_timeout", "_get_pty", "_stdin"}
)
Run = Callable[..., tuple[bool, CommandOutput]]


class RootShell:
    """A shell on the server that answers one question after the other."""

    def __init__(self, channel: Channel) -> None:
        """`channel`: a shell of root's that reads its commands from it."""
        self._channel = channel
        self._read = b""
        self._channel.sendall(f"{BEGIN}\n".encode())

    def ask(self, command: str) -> tuple[int, CommandOutput]:
        """The status of a shell command and what it printed. Raises SSHException if the shell is gone."""
        self._channel.sendall(f"{ASK.format(command)}\n".encode())
        while b"\n" not in self._read:
            self._more()
        line, _, self._read = self._read.partition(b"\n")
        status, out, err = (int(number) for number in line.split())
        while len(self._read) < out + err:
            self._more()
        said, self._read = self._read[: out + err], self._read[out + err :]
        return status, CommandOutput([*_lines("stdout", said[:out]), *_lines("stderr", said[out:])])

    def _more(self) -> None:
        block = self._channel.recv(BLOCK)
        if not block:
            raise SSHException("the shell that answers has ended")
        self._read += block


def _lines(name: str, said: bytes) -> list[OutputLine]:
    """As pyinfra has them."""
    text = said.decode(errors="replace").removesuffix("\n")
    return [OutputLine(name, line) for line in text.split("\n")] if text else []


def ask_by_one_shell(host: Host) -> None:
    """From now on every question that pyinfra asks as root while it prepares."""
    connector, transport = host.connector, transport_of(host)
    if transport is None:
        return
    sudo = bool(host.data.get("_sudo"))
    channel = transport.open_session()
    channel.exec_command("sudo -H -n sh" if sudo else "sh")
    shell = RootShell(channel)
    by_itself: Run = connector.run_shell_command

    def run(command: StringCommand, *args: bool, **arguments: object) -> tuple[bool, CommandOutput]:
        given = {name for name, value in arguments.items() if value}
        if host.state.current_stage != StateStage.Prepare or given & OTHERS or ("_sudo" in given) != sudo:
            return by_itself(command, *args, **arguments)
        status, output = shell.ask(make_unix_command(command).get_raw_value())
        return status == 0, output

    # In place of the method: pyinfra finds other connectors only among installed packages.
    connector.run_shell_command = run  # type: ignore[method-assign]
