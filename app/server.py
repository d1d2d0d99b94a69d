"""uvicorn as this process needs it: two servers in one loop, sockets of our own kind, signals left to us."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from app.ending import DRAIN_S
from app.errors import StartError
from app.ws.messages import MAX_MESSAGE
from app.ws.protocol import SocketProtocol

KEEP_ALIVE_S = 75  # longer than the proxy keeps an idle connection, so that the proxy closes first


class Server(uvicorn.Server):
    """Leaves signals to `main.serve`, which knows both servers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured."""
        yield


def listen(variable: str, port: int) -> socket.socket:
    """A socket on every interface of the container. Raises StartError naming `variable` if it is taken."""
    try:
        # Inside a container; its networks decide who reaches it.
        return socket.create_server(("0.0.0.0", port), backlog=2048)  # noqa: S104
    except OSError as error:
        raise StartError(
            f"{variable} {port} cannot be listened on: {error.strerror}",
            remedy="free the port or choose another",
        ) from error


def server_of(app: ASGIApp, *, trusted: tuple[str, ...] = (), has_sockets: bool = False) -> Server:
    """`trusted`: whose X-Forwarded-For counts."""
    return Server(
        uvicorn.Config(
            app,
            loop="none",
            http="httptools",
            ws=SocketProtocol if has_sockets else "none",
            ws_max_size=MAX_MESSAGE,
            ws_ping_interval=None,  # the application pings, so that a browser's page can answer
            ws_per_message_deflate=False,  # a frame is the same for everybody, and the proxy is near
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted),
            forwarded_allow_ips=list(trusted),
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=DRAIN_S,
        )
    )
