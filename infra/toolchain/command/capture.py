"""What a command prints: kept, shown as it comes, and cleaned of secrets where people read it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable

from infra.errors import GadError
from infra.toolchain.command.model import Logging

MASK = "[secret]"
# Shorter values would blot out ordinary words; nothing that short is a secret.
SHORTEST_SECRET = 3


class Mask:
    """Replaces known secrets, whole or line by line, in text meant for people."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part for secret in secrets for part in (secret, *secret.splitlines())}
        # The longest first: one secret may hold another.
        self._parts = sorted((p for p in parts if len(p.strip()) >= SHORTEST_SECRET), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` without the secrets."""
        for part in self._parts:
            text = text.replace(part, MASK)
        return text


class Capture:
    """Both streams of one run. Fed from several threads."""

    def __init__(self, show: Callable[[str], None], logging: Logging, mask: Mask) -> None:
        self._show = show
        self._logging = logging
        self._mask = mask
        self._lock = threading.Lock()
        self._streams: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._both: list[bytes] = []
        self._unfinished: dict[str, bytes] = {"stdout": b"", "stderr": b""}

    def feed(self, stream: str, chunk: bytes) -> None:
        """Take what arrived on `stream` (stdout or stderr); whole lines are shown at once."""
        with self._lock:
            self._streams[stream].append(chunk)
            self._both.append(chunk)
            *lines, self._unfinished[stream] = (self._unfinished[stream] + chunk).split(b"\n")
        if self._logging.shows(stream):
            for line in lines:
                self._show(self._mask(_text(line)))

    def close(self) -> None:
        """Show the last lines that did not end."""
        for stream, rest in self._unfinished.items():
            if rest and self._logging.shows(stream):
                self._show(self._mask(_text(rest)))

    def outputs(self) -> dict[str, str]:
        """`stdout` and `stderr` without their last line break."""
        return {name: _text(b"".join(chunks)).removesuffix("\n") for name, chunks in self._streams.items()}

    def failure(self, reason: str, command: str, *, withheld: bool = False) -> GadError:
        """The failed run in one error: why, which command, and both outputs as they came or `withheld`."""
        printed = self._mask(_text(b"".join(self._both))).removesuffix("\n")
        if withheld:
            printed = "(what it printed is withheld: the command is secret)"
        quoted = json.dumps(self._mask(command), ensure_ascii=False)
        return GadError(
            f"{reason}: running {quoted}:\n{printed}".removesuffix("\n"),
            remedy="",  # what the command printed says more than we could
        )


def _text(raw: bytes) -> str:
    # The engine takes only UTF-8; a command may print anything.
    return raw.decode("utf-8", errors="replace")
