"""What the site answers, through the proxy as people reach it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from edge import Edge

from infra.operate.outputs import StackOutputs

SUBJECT = "http"
ALIVE, READY = "/health/live", "/health/ready"
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HEADERS = {
    "content-security-policy": NOTHING,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(self), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
HSTS = {True: ["max-age=63072000; includeSubDomains; preload"], False: []}
# The API's description is the one public answer longer than the 512 bytes from which Caddy compresses.
# Production hides it: there a short answer must come as it is, and test_proxy.py asks the proxy itself.
LONG = {"dev": "/openapi.json", "staging": "/openapi.json", "production": READY}
ZSTD, GZIP, JSON = "28b52ffd", "1f8b08", "7b22"  # first bytes: RFC 8878, RFC 1952, `{"`


def test_live(edge: Edge) -> None:
    """The API is alive, asked by HTTP/2.

    Remedy: `docker logs` of the live slot; `gad status` shows which one that is.
    """
    answer = edge.get(ALIVE)
    assert (answer.http_version, answer.status_code, answer.json()) == ("HTTP/2", 200, {"state": "alive"})


def test_ready(edge: Edge) -> None:
    """The API is ready: database, schema, rotation and Redis are all well.

    Remedy: the failed check names what to look at; `docker logs` of that service says why.
    """
    answer = edge.get(READY)
    checks = {name: check["ok"] for name, check in answer.json()["checks"].items()}
    assert (answer.status_code, answer.json()["state"]) == (200, "ready")
    assert checks == dict.fromkeys(["database", "schema", "rotation", "stopping", "redis"], True)


@pytest.mark.parametrize(("path", "status"), [("/health/deep", 401), ("/metrics", 404), ("/docs/", 404)])
def test_closed(edge: Edge, path: str, status: int) -> None:
    """What is not for everybody is not answered to strangers, and errors are problem documents.

    Remedy: the route lost its guard, or the proxy leads to the private port: roll the release back.
    """
    answer = edge.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_answer_comes_from_the_declared_slot(edge: Edge, outputs: StackOutputs) -> None:
    """Answers come from the slot that is declared to be in rotation.

    Remedy: `gad up` turns the rotation to the declared slot.
    """
    assert [edge.get(ALIVE).headers["x-gad-slot"] for _ in range(4)] == [outputs.release.live] * 4


@pytest.mark.parametrize("path", [ALIVE, "/no-such-page"])
def test_security_headers(edge: Edge, path: str) -> None:
    """Every answer carries exactly the declared security headers.

    Remedy: compare the proxy's Caddyfile with config/templates/Caddyfile.j2; `gad up` puts it back.
    """
    found = edge.get(path).headers
    assert {name: found.get(name) for name in HEADERS} == HEADERS


def test_server_is_not_named(edge: Edge) -> None:
    """Answers do not tell which software made them.

    Remedy: compare the proxy's Caddyfile with config/templates/Caddyfile.j2; `gad up` puts it back.
    """
    found = edge.get(ALIVE).headers
    assert [name for name in ("server", "via", "x-powered-by") if name in found] == []


def test_hsts_is_declared(edge: Edge, outputs: StackOutputs) -> None:
    """Strict-Transport-Security is sent when declared, and only then.

    Remedy: compare proxy.hsts in the stack file with the proxy's Caddyfile; `gad up` puts it back.
    """
    assert edge.get(ALIVE).headers.get_list("strict-transport-security") == HSTS[outputs.hsts]


def test_http_redirects(edge: Edge, outputs: StackOutputs) -> None:
    """Plain HTTP answers with a permanent redirect to the same path of HTTPS, whatever the path.

    Remedy: compare the proxy's Caddyfile with config/templates/Caddyfile.j2; `gad up` puts it back.
    """
    answer = edge.get_plain(f"{ALIVE}?a=1")
    assert (answer.status_code, answer.headers["location"]) == (308, f"{outputs.url}{ALIVE}?a=1")


def test_http3_is_advertised(edge: Edge, outputs: StackOutputs) -> None:
    """HTTP/3 is advertised on the port people use.

    Remedy: compare the proxy's Caddyfile with config/templates/Caddyfile.j2; `gad up` puts it back.
    """
    port = urlsplit(outputs.url).port or 443
    assert edge.get(ALIVE).headers.get_list("alt-svc") == [f'h3=":{port}"; ma=86400']


def test_http3_answers(edge: Edge, outputs: StackOutputs) -> None:
    """HTTP/3 answers what was advertised, from the same slot, with the same certificate.

    Remedy: let UDP through the firewall on the HTTPS port, or stop advertising HTTP/3.
    """
    answer = edge.get_by_http3(ALIVE)
    assert (answer.status, json.loads(answer.body)) == (200, {"state": "alive"})
    assert answer.headers["x-gad-slot"] == outputs.release.live


@pytest.mark.parametrize(("encoding", "magic"), [("zstd", ZSTD), ("gzip", GZIP)])
def test_compression(edge: Edge, outputs: StackOutputs, encoding: str, magic: str) -> None:
    """A long answer comes in the encoding the client accepts, a short one as it is.

    Remedy: `encode zstd gzip` in the proxy's Caddyfile.
    """
    expected = {"dev": (encoding, magic), "staging": (encoding, magic), "production": (None, JSON)}
    found, body = edge.get_raw(LONG[outputs.environment], encoding)
    shown = expected[outputs.environment]
    assert (found, body.hex()[: len(shown[1])]) == shown


def test_foreign_host_gets_nothing(edge: Edge) -> None:
    """A request for another site's name reaches no slot and gets no content.

    Remedy: the proxy's Caddyfile must name the site, and GAD_ALLOWED_HOSTS too.
    """
    answer = edge.get(ALIVE, {"Host": "otra.invalid"})
    assert (answer.content, answer.headers.get("x-gad-slot")) == (b"", None)
