"""The log of a hardened server, sent to another machine: this one, by its address on the lab's network."""

from __future__ import annotations

import socket

import pytest

from tests.engine.lab.hardened import VALUES, Runs, Server

pytestmark = pytest.mark.engine
control = pytest.mark.control
PATIENCE_S = 60  # the daemon asks again every few seconds; a busy machine gets time


def received(listener: socket.socket, wanted: bytes) -> bytes:
    """What a sender says, up to a word. Raises TimeoutError if that does not come."""
    listener.settimeout(PATIENCE_S)
    line, _ = listener.accept()
    said = b""
    with line:
        line.settimeout(PATIENCE_S)
        while wanted not in said and (part := line.recv(65536)):
            said += part
    return said


@control("logs.forward", "logs.other-daemons")
def test_a_line_waits_for_the_receiver_and_arrives(runs: Runs, server: Server) -> None:
    """It is written while nobody listens. Without a receiver in the plan nothing of it is installed."""
    package = VALUES.table("logs.forward")["package"]
    here = server.run("ip -4 route show default").split()[2]
    with socket.socket() as listener:
        listener.bind((here, 0))
        receiver = f"{here}:{listener.getsockname()[1]}"
        there = server.apply(server.plan(syslog_to=receiver)).changed
        server.run("logger -t gad-proof -p auth.notice sent-before-anybody-listened")
        listener.listen()
        said = received(listener, b"sent-before-anybody-listened")
    listens = server.run("ss -Hlntup")
    files = server.run("ls /var/log")
    back = server.apply().changed
    assert "Logs | Install what sends it away" in there
    assert back == ("Logs | Remove other daemons",)
    assert b"<37>1 " in said  # facility and severity as they were said, in the form of RFC 5424
    assert "rsyslog" not in listens
    assert "auth.log" not in files
    assert package not in runs.now["packages"].split()
