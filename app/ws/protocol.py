"""The server's side of a socket: uvicorn's WebSocket protocol, opened for whoever writes to many.

An ASGI `send` costs a message, a coroutine and a frame for each receiver. Here the same bytes go to all, and
what a slow receiver cannot take is known at once.
"""

from __future__ import annotations

import socket
from asyncio.transports import BaseTransport
from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION = "gad.socket"  # where the application finds it in its scope
# Chosen: the kernel would keep megabytes for a receiver that does not read, and hide that it is slow.
SEND_BUFFER = 64 * 1024
LINGER_S = 10.0  # chosen: how long a peer may take to read what is left before its socket is dropped


class SocketProtocol(WebSocketsSansIOProtocol):
    """One connection. `is_paused`: its buffers are full; `on_writable` is called when there is room again."""

    is_paused = False
    on_writable: Callable[[], None] | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Keep what the kernel holds for us small."""
        super().connection_made(transport)
        raw: socket.socket | None = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self.is_paused = True
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has room again."""
        self.is_paused = False
        if self.on_writable is not None:
            self.on_writable()
        super().resume_writing()

    def write(self, frame: bytes) -> None:
        """Send a whole frame; nothing happens once the connection ends."""
        if not self.close_sent and not self.disconnected:
            self.transport.write(frame)

    def end(self, code: int) -> None:
        """Close with `code`; the application is told as if the peer had closed."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": ""})
        self.conn.send_close(code)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()  # for the peer's own close
        self.close_timer = self.loop.call_later(LINGER_S, self.transport.abort)

    def shutdown(self) -> None:
        """The server stops. Open sockets are closed by the application, spread over seconds."""
        if not self.handshake_complete:
            super().shutdown()

    async def run_asgi(self) -> None:
        """The application's turn, with this protocol in its scope."""
        extensions: dict[str, object] = self.scope["extensions"]  # type: ignore[assignment]
        extensions[EXTENSION] = self
        try:
            await super().run_asgi()
        finally:
            if not self.disconnected and self.close_timer is None:
                # A closing transport waits for its buffer to empty, for ever if the peer does not read.
                self.loop.call_later(LINGER_S, self.transport.abort)
