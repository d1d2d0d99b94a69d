"""Runs inside the slot's container, as text that `bench_cpu` sends to its Python: standard library only.

Counts the processor time of the serving process while one client asks over loopback, one request after the
other on one connection, and that of a bare ASGI application under the same server in the same minute. Their
ratio says the same on a slow and a fast machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

HELLO = """
import socket, sys, uvicorn, uvloop, asyncio
async def hello(scope, receive, send):
    headers = [(b"content-type", b"application/json"), (b"content-length", b"15")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"hello":"all"}'})
config = uvicorn.Config(hello, loop="none", http="httptools", ws="none", lifespan="off", log_config=None,
                        access_log=False, server_header=False)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(uvicorn.Server(config).serve(sockets=[listener]))
"""


def processor_s(pid: int) -> float:
    """User and system time of a process since its start, in steps of the kernel's clock tick (10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serving(module: str) -> int:
    """Id of the process that runs `python -m module`. Raises LookupError."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has just ended
            if b"python" in words[0] and words[1:3] == [b"-m", module.encode()]:  # not the init before it
                return int(entry.name)
    raise LookupError(module)


class Line:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def ask(self, request: bytes) -> None:
        """One request and its whole answer. Raises OSError unless it is a 200 with a Content-Length."""
        self._socket.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got:
            part = self._socket.recv(65536)
            if not part:
                raise OSError("the server closed the connection")
            got += part
        head, _, body = got.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise OSError(head.split(b"\r\n", 1)[0].decode("latin-1"))
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(65536)


def measured_us(pid: int, port: int, request: bytes, *, times: int, warm_up: int) -> float:
    """Microseconds of processor time that the process spends on each request."""
    with closing(Line(port)) as line:
        for _ in range(warm_up):
            line.ask(request)
        before = processor_s(pid)
        for _ in range(times):
            line.ask(request)
        return (processor_s(pid) - before) / times * 1e6


@contextmanager
def bare_server() -> Iterator[tuple[int, int]]:
    """(process id, port) of an application that does nothing, under the same server and settings."""
    with subprocess.Popen([sys.executable, "-c", HELLO], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None  # noqa: S101 - a pipe was asked for
            # It listens before it says where, so that a first request waits and is not refused.
            yield child.pid, int(child.stdout.readline())
        finally:
            child.kill()


def main(asked: str) -> None:
    """Print {"app": [µs, …], "bare": [µs, …]}, one number of each for each round.

    `asked` is JSON: pid (null: found by module), port, path, headers, rounds, times, warm_up.
    """
    wanted = json.loads(asked)
    pid = wanted["pid"] or serving("app.main")
    headers = "".join(f"{name}: {value}\r\n" for name, value in wanted["headers"].items())
    request = f"GET {wanted['path']} HTTP/1.1\r\n{headers}\r\n".encode()
    effort = {"times": wanted["times"], "warm_up": wanted["warm_up"]}
    found: dict[str, list[float]] = {"app": [], "bare": []}
    with bare_server() as (bare_pid, bare_port):
        for _ in range(wanted["rounds"]):
            found["app"].append(measured_us(pid, wanted["port"], request, **effort))
            found["bare"].append(measured_us(bare_pid, bare_port, request, **effort))
    print(json.dumps(found))
