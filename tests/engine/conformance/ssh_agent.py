"""An SSH agent on a socket of its own, holding one key: a fresh machine need not have ssh-agent."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko

# Message numbers of the agent protocol (draft-miller-ssh-agent, 5.1).
REQUEST_IDENTITIES, IDENTITIES_ANSWER = 11, 12
SIGN_REQUEST, SIGN_RESPONSE = 13, 14


@contextmanager
def ssh_agent(socket: Path, key: paramiko.PKey) -> Iterator[Path]:
    """Serve `key` on `socket` until the block is left."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while length := self.rfile.read(4):
                request = paramiko.Message(self.rfile.read(int.from_bytes(length, "big")))
                answer = _answer(request, key).asbytes()
                self.wfile.write(len(answer).to_bytes(4, "big") + answer)

    with socketserver.ThreadingUnixStreamServer(str(socket), Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield socket
        finally:
            server.shutdown()


def _answer(request: paramiko.Message, key: paramiko.PKey) -> paramiko.Message:
    answer = paramiko.Message()
    if request.get_byte()[0] == REQUEST_IDENTITIES:
        answer.add_byte(bytes([IDENTITIES_ANSWER]))
        answer.add_int(1)
        answer.add_string(key.asbytes())
        answer.add_string("throw-away")
        return answer
    request.get_binary()  # the one key we have
    answer.add_byte(bytes([SIGN_RESPONSE]))
    answer.add_string(key.sign_ssh_data(request.get_binary()).asbytes())
    return answer
