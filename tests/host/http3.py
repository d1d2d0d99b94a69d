"""One HTTP/3 request: curl of most systems cannot, and an advertised protocol must answer."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol, QuicStreamHandler
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, QuicEvent


@dataclass
class Answer:
    """A response as far as verification needs it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Client(QuicConnectionProtocol):
    def __init__(self, quic: QuicConnection, stream_handler: QuicStreamHandler | None = None) -> None:
        super().__init__(quic, stream_handler)
        self._http = H3Connection(quic)
        self._answer = Answer()
        self._answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    async def get(self, authority: str, path: str) -> Answer:
        """Send the request and wait for the whole answer."""
        stream = self._quic.get_next_available_stream_id()
        request = {":method": "GET", ":scheme": "https", ":authority": authority, ":path": path}
        self._http.send_headers(
            stream, [(k.encode(), v.encode()) for k, v in request.items()], end_stream=True
        )
        self.transmit()
        return await self._answered

    def quic_event_received(self, event: QuicEvent) -> None:
        """Called by the transport for each event."""
        if isinstance(event, ConnectionTerminated) and not self._answered.done():
            self._answered.set_exception(
                ConnectionError(event.reason_phrase or f"QUIC error {event.error_code}")
            )
            return
        for found in self._http.handle_event(event):
            self._take(found)

    def _take(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            headers = {key.decode(): value.decode() for key, value in event.headers}
            self._answer.status = int(headers.pop(":status", "0"))
            self._answer.headers |= headers
        elif isinstance(event, DataReceived):
            self._answer.body += event.data
        if getattr(event, "stream_ended", False) and not self._answered.done():
            self._answered.set_result(self._answer)


async def ask(
    target: tuple[str, int], name: str, authority: str, path: str, cafile: Path | None, *, timeout_s: float
) -> Answer:
    """GET `path` at `target`, which must prove to be `name`. Raises OSError."""
    trusted = str(cafile) if cafile else ssl.get_default_verify_paths().cafile
    settings = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=name, cafile=trusted)
    async with (
        asyncio.timeout(timeout_s),
        connect(*target, configuration=settings, create_protocol=_Client) as client,
    ):
        assert isinstance(client, _Client)
        return await client.get(authority, path)
