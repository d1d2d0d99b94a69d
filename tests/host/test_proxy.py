"""The configuration the proxy runs with, asked of itself: what no single answer could show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from engine import Engine, Running

SUBJECT = "proxy"

# The administration port answers inside the container only; bash speaks TCP by itself.
ASK = (
    "bash -c 'exec 3<>/dev/tcp/localhost/2019;"
    ' printf "GET /config/ HTTP/1.0\\r\\nHost: localhost:2019\\r\\n\\r\\n" >&3; cat <&3\''
)


def handlers(value: object, kind: str) -> Iterator[dict[str, Any]]:
    """Every handler of a kind, however deep it lies."""
    match value:
        case dict():
            yield from [value] if value.get("handler") == kind else []
            for each in value.values():
                yield from handlers(each, kind)
        case list():
            for each in value:
                yield from handlers(each, kind)


@pytest.fixture(scope="session")
def proxy(engine: Engine) -> Running:
    return engine.running("proxy")


@pytest.fixture(scope="session")
def config(proxy: Running) -> Any:
    return json.loads(proxy.inside.check_output(ASK).partition("\r\n\r\n")[2])


def test_both_slots_are_configured(config: Any) -> None:
    """Both slots are its upstreams, so that a release never reloads it.

    Remedy: compare the proxy's Caddyfile with config/templates/Caddyfile.j2; `gad up` puts it back.
    """
    upstreams = [[each["dial"] for each in found["upstreams"]] for found in handlers(config, "reverse_proxy")]
    assert upstreams == [["api-blue:8000", "api-green:8000"]]


def test_answers_are_compressed(config: Any) -> None:
    """It compresses with zstd first, then gzip.

    Remedy: `encode zstd gzip` in the proxy's Caddyfile.
    """
    assert [found["prefer"] for found in handlers(config, "encode")] == [["zstd", "gzip"]]


def test_administration_is_closed(config: Any) -> None:
    """Its administration listens inside the container only.

    Remedy: compare the proxy's Caddyfile with config/templates/Caddyfile.j2; `gad up` puts it back.
    """
    assert config["admin"]["listen"] == "localhost:2019"
