"""The values of a stack's secrets, held so that no failure can print them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import pytest
from engine import Running

LEAST = 16  # characters: shorter ones would be found everywhere, and are no secrets
URL = re.compile(r"[a-z]+://\S+")
PEM_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(?P<body>[^-]+)\n-----END")
CERTIFICATE = "-----BEGIN CERTIFICATE-----"  # shown to whoever connects: no secret
STORED_PASSWORD = re.compile(r"#([0-9a-f]{64})\b")

# Name and content of each file on two lines; neither name nor content is part of any command line.
READ = 'cd /run/gad/secrets && for f in *; do echo "$f"; base64 -w 0 < "$f"; echo; done'


class SecretValues:
    """Named values; only names leave this object."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._searched = {name: forms(value) for name, value in values.items() if len(value) >= LEAST}

    def __repr__(self) -> str:
        return f"SecretValues({self.names})"

    @property
    def names(self) -> list[str]:
        """Names of all values."""
        return sorted(self._values)

    @property
    def too_short(self) -> list[str]:
        """Names of the values that could be guessed, or found by chance."""
        return sorted(name for name, value in self._values.items() if len(value) < LEAST)

    def found_in(self, text: str) -> list[str]:
        """Names of the values that `text` holds, plain or in base64."""
        return sorted(name for name, found in self._searched.items() if any(form in text for form in found))

    def redact(self, text: str) -> str:
        """`text` without the values."""
        for name, searched in self._searched.items():
            for form in searched:
                text = text.replace(form, f"<{name}>")
        return text


def forms(value: str) -> list[str]:
    """The value, and how it looks inside base64 at each of the three alignments."""
    found = [value]
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + value.encode()).decode().rstrip("=")
        inner = encoded[(0, 2, 3)[offset] : len(encoded) - 1]  # the edges mix with their neighbours
        found += [inner, inner.replace("+", "-").replace("/", "_")]
    return found


def read_secrets(readers: Mapping[str, Running]) -> SecretValues:
    """Read the files each container was given. Fails the test if a container shows none."""
    values: dict[str, str] = {}
    for role, running in readers.items():
        lines = running.inside.run(READ).stdout.splitlines()
        if not lines:
            pytest.fail(f"{running.name} has no readable file in /run/gad/secrets", pytrace=False)
        for name, content in zip(lines[::2], lines[1::2], strict=True):
            values |= parts(f"{role}/{name}", base64.b64decode(content).decode())
    return SecretValues(values)


def parts(name: str, content: str) -> dict[str, str]:
    """A file's secret values: a URL's password too, an ACL's stored passwords, the lines of a private key."""
    if content.startswith(CERTIFICATE):
        return {}
    if key := PEM_KEY.match(content):
        # Line by line, for text that holds it in another form (JSON, say) has other line ends.
        return {f"{name}#{i}": line for i, line in enumerate(key["body"].splitlines()) if len(line) >= LEAST}
    if name.endswith(".acl"):
        return {f"{name}#{i}": stored for i, stored in enumerate(STORED_PASSWORD.findall(content))}
    if URL.fullmatch(content):
        return {name: content, f"{name}:password": unquote(urlsplit(content).password or "")}
    return {name: content}
