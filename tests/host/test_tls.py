"""TLS: a chain that can be checked, the site's name, and no old protocol."""

from __future__ import annotations

import ssl
import time

import pytest
from edge import Edge

SUBJECT = "tls"
LEAST_LIFE_LEFT = 0.2  # Caddy renews when a third is left


def test_chain_is_trusted(edge: Edge) -> None:
    """The certificate chain leads to the stack's authority (or the system's), and is not out of date.

    Remedy: `gad up` saves the authority anew; with ACME, the proxy's log says what the issuer answered.
    """
    assert edge.handshake(edge.trust()).version in {"TLSv1.3", "TLSv1.2"}


def test_certificate_names_the_site(edge: Edge) -> None:
    """The certificate is for the site.

    Remedy: compare proxy.site in the stack file with the name people type.
    """
    certificate = edge.handshake(edge.trust()).certificate
    assert [name for kind, name in certificate["subjectAltName"] if kind == "DNS"] == [edge.site]


def test_another_name_is_refused(edge: Edge) -> None:
    """A client that wants another site is refused by the server itself.

    Remedy: the proxy serves a name nobody declared: compare its Caddyfile with proxy.site.
    """
    with pytest.raises(ssl.SSLError) as refused:
        edge.handshake(edge.trust(), "otra.invalid")
    assert refused.value.reason == "TLSV1_ALERT_INTERNAL_ERROR"  # Caddy has no certificate for it


def test_certificate_is_renewed_in_time(edge: Edge) -> None:
    """At least a fifth of the certificate's life is left.

    Remedy: the proxy's log says why it was not renewed.
    """
    certificate = edge.handshake(edge.trust()).certificate
    begin, end = (ssl.cert_time_to_seconds(str(certificate[key])) for key in ("notBefore", "notAfter"))
    assert (end - time.time()) / (end - begin) > LEAST_LIFE_LEFT


def test_tls_1_3_is_spoken(edge: Edge) -> None:
    """TLS 1.3 is spoken.

    Remedy: the proxy's Caddyfile restricts protocols; take that out.
    """
    context = edge.trust()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    assert edge.handshake(context).version == "TLSv1.3"


def test_old_tls_is_refused(edge: Edge) -> None:
    """TLS 1.1 and older is refused by the server itself.

    Remedy: the proxy's Caddyfile allows old protocols; take that out.
    """
    context = edge.trust()
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")  # else this client refuses by itself, and proves nothing
    with pytest.raises(ssl.SSLError) as refused:
        edge.handshake(context)
    assert refused.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_http2_is_preferred(edge: Edge) -> None:
    """A client that offers HTTP/2 and HTTP/1.1 gets HTTP/2.

    Remedy: `servers { protocols … }` in the proxy's Caddyfile must list h2.
    """
    context = edge.trust()
    context.set_alpn_protocols(["http/1.1", "h2"])
    assert edge.handshake(context).protocol == "h2"
