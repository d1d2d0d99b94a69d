"""The connection of a run: one that is gone is noticed, and not waited for."""

from __future__ import annotations

import socket

from pyinfra.api.host import Host
from pyinfra.connectors.ssh import SSHConnector

# As the client of every other command here: asked each 15 s, given up after 45 s without an answer.
ASK_S, GONE_S = 15, 45


def notice_loss(host: Host) -> None:
    """End the run with an error soon after its packets are dropped; TCP alone would try for 15 minutes."""
    connector = host.connector
    if not isinstance(connector, SSHConnector) or connector.client is None:
        return
    transport = connector.client.get_transport()
    if transport is None:
        return
    line = transport.sock
    transport.set_keepalive(ASK_S)
    if isinstance(line, socket.socket) and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_S * 1000)
