"""What a machine has written down of a stack's releases: a line for each thing that happened to one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import GadError
from infra.operate.place import Place
from infra.operate.server import refused_by, run_script
from infra.operate.status import short_digest

FOLDER, FILE = "release", "ledger.jsonl"
Event = Literal["begun", "parked", "failed", "back", "live"]


class Entry(BaseModel):
    """One line: at which moment (UTC) what happened to which slot, by whose attempt, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    attempt: str
    by: str
    event: Event
    slot: str
    image: str
    why: str


class Release(BaseModel):
    """An attempt as it ended. `cut off`: nobody wrote an end, so whoever made it was killed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    attempt: str
    by: str
    slot: str
    image: str
    outcome: Literal["released", "taken back", "failed", "cut off", "asked back"]
    why: str
    seconds: int | None  # from its first line to its last; None where only one was written

    @property
    def digest(self) -> str:
        """Short, for people."""
        return short_digest(self.image)


OUTCOMES: dict[Event, Literal["released", "taken back", "failed", "cut off"]] = {
    "begun": "cut off",
    "parked": "cut off",
    "failed": "failed",
    "back": "taken back",
    "live": "released",
}


def read(place: Place) -> tuple[Entry, ...]:
    """All lines, the oldest first; none before the first release. Raises GadError."""
    file = shlex.quote(f"{place.folder}/{FOLDER}/{FILE}")
    done = run_script(place.server, f"test -e {file} || exit 0; cat {file}")
    if done.returncode != 0:
        raise refused_by(done, "the ledger of releases cannot be read")
    return parse(done.stdout)


def parse(text: str) -> tuple[Entry, ...]:
    """Lines as they are written; a last one that was cut off by a crash is passed over. Raises GadError."""
    lines = text.splitlines()
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(Entry.model_validate_json(line))
        except ValidationError as error:
            if number == len(lines) and not text.endswith("\n"):
                break
            raise GadError(
                f"line {number} of the ledger of releases is not readable: {error.errors()[0]['msg']}",
                remedy=f"look at {FOLDER}/{FILE} in the stack's folder, and move it away",
            ) from None
    return tuple(entries)


def releases(entries: Sequence[Entry]) -> tuple[Release, ...]:
    """Each attempt by what it came to, the newest first; a way back that was asked for is one of its own."""
    found: list[Release] = []
    attempts: dict[str, list[Entry]] = {}
    for entry in entries:
        attempts.setdefault(entry.attempt or f"back {entry.at.isoformat()}", []).append(entry)
    for lines in attempts.values():
        first, last = lines[0], lines[-1]
        found.append(
            Release(
                at=last.at,
                attempt=first.attempt,
                by=last.by,
                slot=last.slot,
                image=last.image,
                outcome=OUTCOMES[last.event] if first.attempt else "asked back",
                why=last.why,
                seconds=int((last.at - first.at).total_seconds()) if len(lines) > 1 else None,
            )
        )
    return tuple(sorted(found, key=lambda each: each.at, reverse=True))
