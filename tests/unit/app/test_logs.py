from __future__ import annotations

import json
import logging
import sys

import pytest

from app.logs import JsonFormatter, bind_request_id, mask


def formatted(message: str, *arguments: object, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("gad.test", logging.INFO, __file__, 1, message, arguments, None)
    record.__dict__.update(extra)
    line: dict[str, object] = json.loads(JsonFormatter("blue").format(record))
    return line


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            # pragma: allowlist nextline secret
            "postgresql://gad_app:canary@postgres/gad",
            "postgresql://***postgres/gad",
        ),
        ("redis://:canary@redis:6379/0", "redis://***redis:6379/0"),
        ("Authorization: Bearer canary.x.y", "Authorization: Bearer ***"),
        (
            # pragma: allowlist nextline secret
            "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2ln sent",
            "token *** sent",
        ),
        ("https://gad.example/health", "https://gad.example/health"),
    ],
)
def test_mask(message: str, expected: str) -> None:
    assert mask(message) == expected


def test_a_line_has_its_fields_and_is_one_line() -> None:
    bind_request_id("request-1")
    line = formatted("two\nlines of %s", "text", fields={"status": 201})
    bind_request_id("-")
    assert (line["message"], line["request_id"], line["slot"], line["status"]) == (
        "two\nlines of text",
        "request-1",
        "blue",
        201,
    )
    assert (line["level"], line["logger"]) == ("info", "gad.test")
    assert str(line["at"]).endswith("+00:00")


def test_an_exception_shows_where_and_never_what() -> None:
    try:
        try:
            raise KeyError("canary-cause")
        except KeyError as cause:
            raise ValueError("Key (email)=(canary@distrito.example) already exists") from cause
    except ValueError:
        line = formatted("failed", exc_info=sys.exc_info())
    assert "canary" not in json.dumps(line)
    error = line["error"]
    assert isinstance(error, dict)
    assert (error["type"], error["cause"]) == ("builtins.ValueError", "builtins.KeyError")
    assert "test_an_exception_shows_where_and_never_what" in error["at"][-1]
