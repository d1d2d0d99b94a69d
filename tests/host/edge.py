"""The stack as people reach it: TLS, HTTP/1.1, HTTP/2 and HTTP/3 at the address the host publishes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from http3 import Answer, ask

from infra.operate.outputs import StackOutputs

PATIENCE_S = 15.0  # of one request: the answer is checked, not its speed; a server may be busy with its start
ANY = "0.0.0.0"  # noqa: S104  (as a stack may publish on all addresses)


@dataclass(frozen=True)
class Handshake:
    """What was agreed, and the certificate that was shown."""

    version: str | None
    protocol: str | None
    certificate: Mapping[str, Any]


class Edge:
    """Requests to the site, dialled at the published address whatever the site's name resolves to."""

    def __init__(self, outputs: StackOutputs, authority: Path | None) -> None:
        self._outputs = outputs
        self._authority = authority if outputs.tls == "internal" else None
        self.site = outputs.site
        self.authority_name = urlsplit(outputs.url).netloc

    def _dial(self, url: str, protocol: str) -> tuple[str, int]:
        """Where the host listens for this URL."""
        scheme_port = {"https": 443, "http": 80}[urlsplit(url).scheme]
        port = urlsplit(url).port or scheme_port
        published = [p for c in self._outputs.containers.values() for p in c.published]
        ips = [p.ip for p in published if p.external == port and p.protocol == protocol]
        return (self._outputs.address if ips in ([], [ANY]) else ips[0]), port

    @property
    def https(self) -> tuple[str, int]:
        """Address and port of HTTPS."""
        return self._dial(self._outputs.url, "tcp")

    def trust(self) -> ssl.SSLContext:
        """A context that trusts the stack's own authority only, or the system's when ACME is used."""
        return ssl.create_default_context(cafile=self._authority)

    def handshake(self, context: ssl.SSLContext, name: str | None = None) -> Handshake:
        """Shake hands for `name` (the site). Raises ssl.SSLError, OSError."""
        with (
            socket.create_connection(self.https, timeout=PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname=name or self.site) as secured,
        ):
            return Handshake(
                version=secured.version(),
                protocol=secured.selected_alpn_protocol(),
                certificate=secured.getpeercert() or {},
            )

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Ask by HTTP/2. Raises httpx.HTTPError."""
        return self._client.send(self._request(path, headers))

    def get_raw(self, path: str, encoding: str) -> tuple[str | None, bytes]:
        """Content-Encoding, and the body as it came, for a client that accepts only this encoding."""
        request = self._request(path, {"Accept-Encoding": encoding})
        response = self._client.send(request, stream=True)
        try:
            return response.headers.get("Content-Encoding"), b"".join(response.iter_raw())
        finally:
            response.close()

    def get_plain(self, path: str) -> httpx.Response:
        """Ask by HTTP without TLS. Raises httpx.HTTPError."""
        host, port = self._dial(self._outputs.http_url, "tcp")
        headers = {"Host": urlsplit(self._outputs.http_url).netloc}
        return httpx.get(f"http://{host}:{port}{path}", headers=headers, timeout=PATIENCE_S, trust_env=False)

    def get_by_http3(self, path: str) -> Answer:
        """Ask by HTTP/3, with the same trust. Raises OSError."""
        host, port = self._dial(self._outputs.url, "udp")
        target = (host, port)
        return asyncio.run(
            ask(target, self.site, self.authority_name, path, self._authority, timeout_s=PATIENCE_S)
        )

    def close(self) -> None:
        """Close what is still open."""
        self._client.close()

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(http2=True, verify=self.trust(), timeout=PATIENCE_S, trust_env=False)

    def _request(self, path: str, headers: Mapping[str, str] | None) -> httpx.Request:
        host, port = self.https
        extensions: dict[str, Any] = {"sni_hostname": self.site}
        sent = {"Host": self.authority_name, **(headers or {})}
        return self._client.build_request(
            "GET", f"https://{host}:{port}{path}", headers=sent, extensions=extensions
        )
