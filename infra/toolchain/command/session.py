"""Run one command in an SSH session."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

from infra.errors import GadError
from infra.toolchain.command.capture import Capture
from infra.toolchain.command.waiting import wait
from infra.toolchain.plugin import Call

CHUNK = 65536

NOT_ACCEPTED = (
    "Unable to set '{name}'. This only works if your SSH server is configured to accept "
    "these variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, "
    "you could prefix the command itself with the variables in the form 'VAR=value command'"
)


def accepted_variables(
    transport: paramiko.Transport, call: Call, wanted: Mapping[str, str], hoped_for: Mapping[str, str]
) -> dict[str, str]:
    """The variables the server takes. Raises GadError, by name, for one of `wanted` that it refuses; one of
    `hoped_for` is only warned about."""
    for name, value in wanted.items():
        if not _accepts(transport, name, value):
            call.log("error", NOT_ACCEPTED.format(name=name))
            raise GadError(
                f'could not set environment variable "{name}": ssh: setenv failed',
                remedy="leave environment out: prefix the command, or pass the value by stdin",
            )
    taken = dict(wanted)
    for name, value in hoped_for.items():
        if _accepts(transport, name, value):
            taken[name] = value
        else:
            call.log("warning", NOT_ACCEPTED.format(name=name))
    return taken


def run_remote(
    transport: paramiko.Transport,
    command: str,
    *,
    variables: Mapping[str, str],
    stdin: str | None,
    capture: Capture,
    cancelled: threading.Event,
    timeout_s: float,
) -> str | None:
    """Run to the end and return why it failed, or None. `timeout_s` 0 is no limit.

    Cancelling asks the server to end the command's process group and leaves.
    """
    deadline = time.monotonic() + timeout_s if timeout_s else None
    with transport.open_session() as channel:
        for name, value in variables.items():
            channel.set_environment_variable(name, value)
        channel.exec_command(command)
        workers = [
            threading.Thread(target=_read, args=("stdout", channel, capture)),
            threading.Thread(target=_read, args=("stderr", channel, capture)),
            threading.Thread(target=_write, args=(channel, (stdin or "").encode())),
        ]
        for worker in workers:
            worker.start()
        stopped = wait(channel.status_event.wait, workers, cancelled, deadline)
        if stopped is not None:
            _request(channel, "signal", "TERM", reply=False)
            channel.close()
        for worker in workers:
            worker.join()
        capture.close()
        return stopped or _describe(channel)


def _describe(channel: paramiko.Channel) -> str | None:
    if not channel.exit_status_ready():
        return "remote command exited without exit status or exit signal"
    code = channel.recv_exit_status()
    if code == -1:  # paramiko's word for "the server sent none": a signal, or a lost connection
        return "remote command exited without exit status or exit signal"
    return f"Process exited with status {code}" if code else None


def _read(name: str, channel: paramiko.Channel, capture: Capture) -> None:
    receive = channel.recv if name == "stdout" else channel.recv_stderr
    while chunk := receive(CHUNK):
        capture.feed(name, chunk)


def _write(channel: paramiko.Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except OSError:
        return  # a command need not read what it is given


def _accepts(transport: paramiko.Transport, name: str, value: str) -> bool:
    """Whether the server takes the variable: asked on a session of its own, which a refusal closes.

    The library asks for no answer, hence its inner methods, which the stubs leave out.
    """
    with transport.open_session() as probe:
        probe._event_pending()  # type: ignore[attr-defined]
        _request(probe, "env", name, value, reply=True)
        try:
            probe._wait_for_event()  # type: ignore[attr-defined]
        except paramiko.SSHException:
            return False
    return True


def _request(channel: paramiko.Channel, kind: str, *texts: str, reply: bool) -> None:
    """A channel request that paramiko has no method for (RFC 4254, 6.4 and 6.9)."""
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string(kind)
    message.add_boolean(reply)
    for text in texts:
        message.add_string(text)
    channel.transport._send_user_message(message)  # type: ignore[union-attr]
