"""`ssh://` hosts through the openssh client, with the program's `sshOpts` and one shared connection.

docker-py starts the client without options of the caller's, once per request. Here the streams are kept and
all share one authenticated connection (ControlMaster): a host that limits new ones (MaxStartups) would drop
them otherwise.
"""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import requests
import urllib3
from docker import APIClient
from docker.transport.basehttpadapter import BaseHTTPAdapter

from infra.errors import GadError

# Seconds: `ssh` gives up on a host that does not answer; the official client's own value.
CONNECT_TIMEOUT_S = 30
# What the provider is written against: Docker 20.10.
OLDEST_API = "1.41"
# Seconds the shared connection outlives its last request; it is closed at the end of the process anyway.
PERSIST_S = 30


class SshHost:
    """Where `url` (`ssh://user@host:port`) leads, and the command line that gets there."""

    def __init__(self, url: str, options: Sequence[str]) -> None:
        parts = urlsplit(url)
        if not parts.hostname:
            raise GadError(f"the Docker host {url} names no machine", remedy="write ssh://user@host:port")
        self.url = url
        self.folder = Path(tempfile.mkdtemp(prefix="gad-ssh-"))
        self.clients: list[subprocess.Popen[bytes]] = []
        self.stderr: IO[bytes] = (self.folder / "stderr").open("a+b")
        destination = [*(["-l", parts.username] if parts.username else [])]
        destination += ["-p", str(parts.port)] if parts.port else []
        # The first value of an option counts. The connection is this process's own, whatever the program says
        # of sharing one: no other process can end it, and none that another has authenticated is taken.
        self.arguments = [
            "ssh",
            *("-o", "ControlMaster=auto", "-o", f"ControlPath={self.folder}/%C"),
            *("-o", f"ControlPersist={PERSIST_S}"),
            *options,
            *("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_TIMEOUT_S}", "-T"),
            *destination,
        ]
        self.hostname = parts.hostname
        atexit.register(self.close)

    @property
    def command(self) -> list[str]:
        """Speak with the Docker engine over standard input and output."""
        return self.running("docker system dial-stdio")

    def running(self, script: str) -> list[str]:
        """The command line that runs `script` in the account's shell there, over the shared connection."""
        return [*self.arguments, "--", self.hostname, script]

    def start(self, stream: socket.socket) -> None:
        """Start a client that speaks over `stream`; those that ended are reaped on the way."""
        self.clients = [each for each in self.clients if each.poll() is None]
        self.clients.append(
            subprocess.Popen(
                self.command,
                stdin=stream.fileno(),
                stdout=stream.fileno(),
                stderr=self.stderr,
                start_new_session=True,  # an interrupt at the terminal is the engine's to handle
            )
        )

    def complaint(self) -> str:
        """The last line the ssh client wrote to standard error."""
        self.stderr.flush()
        lines = (self.folder / "stderr").read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def close(self) -> None:
        """End the shared connection."""
        if not self.folder.exists():
            return
        for client in self.clients:
            client.terminate()
            client.wait()
        subprocess.run(
            [*self.arguments, "-O", "exit", "--", self.hostname],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=5,
        )
        self.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Connection(urllib3.connection.HTTPConnection):
    """One stream to the engine: a socket pair, the other end of which is the ssh client's input and output.

    When the pool closes our end, the client sees the end of its input and leaves.
    """

    def __init__(self, host: SshHost, timeout: int) -> None:
        super().__init__("localhost", timeout=timeout)
        self.target = host
        self.seconds = timeout

    def connect(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.target.start(theirs)
        ours.settimeout(self.seconds)
        self.sock = ours


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    scheme = "ssh"

    def __init__(self, host: SshHost, timeout: int) -> None:
        super().__init__("localhost", timeout=timeout, maxsize=16)
        self.target = host
        self.seconds = timeout

    def _new_conn(self) -> _Connection:
        return _Connection(self.target, self.seconds)


class SshAdapter(BaseHTTPAdapter):
    """Carries docker-py's requests to `host`."""

    def __init__(self, host: SshHost, timeout: int) -> None:
        super().__init__()
        self.ssh_pool = _Pool(host, timeout)

    def get_connection(self, url: str | bytes, proxies: object = None) -> _Pool:
        """One pool: there is one host."""
        del url, proxies
        return self.ssh_pool


class _SshClient(APIClient):
    """docker-py expects the channel of another SSH library here; ours is a plain socket, as for unix://."""

    def _get_raw_response_socket(self, response: requests.Response) -> object:
        response.raise_for_status()
        return getattr(getattr(response.raw, "_fp").fp, "raw")  # noqa: B009  (untyped parts of http.client)


def api_client(host: SshHost, timeout: int) -> APIClient:
    """A client of the engine on `host`, speaking the newest API that both know; `timeout` in seconds."""
    # With a version given, the constructor asks nothing over a connection that is not ours yet.
    probe = _client(host, OLDEST_API, timeout)
    return _client(host, probe.version(api_version=False)["ApiVersion"], timeout)


def _client(host: SshHost, version: str, timeout: int) -> APIClient:
    client = _SshClient(base_url=host.url, version=version, timeout=timeout, use_ssh_client=True)
    client.mount("http+docker://ssh", SshAdapter(host, timeout))  # the address docker-py uses for ssh
    return client
