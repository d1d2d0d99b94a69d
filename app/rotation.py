"""Whether this slot is the one traffic should reach, as one small file in the release directory says."""

from __future__ import annotations

import re
from pathlib import Path

_SLOT = re.compile(r"[a-z][a-z0-9-]{0,30}")


class Rotation:
    """Reads the file at each question. None configured: in. Unreadable: the last answer, at first out.

    An empty or malformed file counts as unreadable: whoever writes it renames a complete one into place.
    """

    def __init__(self, live_slot_file: Path | None, slot: str | None) -> None:
        self._file = live_slot_file
        self._slot = slot
        self.live: str | None = None
        """The slot last seen as live; None before the first readable file."""

    def is_in(self) -> bool:
        """Whether traffic should reach this slot now."""
        if self._file is None:
            return True
        try:
            named = self._file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            named = ""
        if _SLOT.fullmatch(named):
            self.live = named
        return self.live is not None and self.live == self._slot
