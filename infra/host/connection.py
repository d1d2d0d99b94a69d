"""The connection of a run: one that is gone is noticed, named, and not waited for."""

from __future__ import annotations

import socket
import sys

from paramiko import Transport
from paramiko.ssh_exception import SSHException
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State
from pyinfra.connectors.ssh import SSHConnector

from infra.host.plan import ENDED

# As the client of every other command here: asked each 15 s, given up after 45 s without an answer.
ASK_S, GONE_S = 15, 45
LAST_S = 5  # for the last question of a run


class _Last(BaseStateCallback):
    """Asks once more before the run leaves: pyinfra shows a command that was cut off as one that failed."""

    @staticmethod
    def host_disconnect(state: State, host: Host) -> None:  # noqa: ARG004 - pyinfra gives both
        connector = host.connector
        if not isinstance(connector, SSHConnector) or connector.client is None:
            return
        try:
            _, out, _ = connector.client.exec_command("true", timeout=LAST_S)
            answered = out.channel.status_event.wait(LAST_S) and out.channel.recv_exit_status() == 0
        except (SSHException, OSError, EOFError):
            answered = False
        if not answered:
            sys.stderr.write(f"--> {ENDED}\n")


def transport_of(host: Host) -> Transport | None:
    """What its commands go over; None where that is not SSH."""
    connector = host.connector
    if not isinstance(connector, SSHConnector) or connector.client is None:
        return None
    return connector.client.get_transport()


def notice_loss(host: Host) -> None:
    """End the run with an error soon after its packets are dropped; TCP alone would try for 15 minutes.

    And say in its log if the connection was gone at its end.
    """
    host.state.add_callback_handler(_Last())  # type: ignore[no-untyped-call]
    transport = transport_of(host)
    if transport is None:
        return
    line = transport.sock
    transport.set_keepalive(ASK_S)
    if isinstance(line, socket.socket) and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_S * 1000)
