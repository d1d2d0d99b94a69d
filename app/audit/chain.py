"""The chain of audit events: what a seal covers, and where a chain stops being one.

Pure: rows in, verdict out. Whoever changes a sealed row must compute every later seal anew, and whoever
noted the head of the chain elsewhere sees even that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol

import orjson

GENESIS = bytes(32)  # `prev_hash` of the first event
# Every column that never changes; seq and prev_hash come before them. The payload is covered by its digest,
# so that it may expire. The order is part of the chain: a new column goes to the end, with a new version.
FIXED = (
    "id",
    "uuid",
    "at",
    "type",
    "severity",
    "actor_id",
    "channel",
    "resource",
    "success",
    "request_id",
    "payload_sha256",
    "retention_until",
)
VERSION = b"gad/audit/v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NULL = b"\xff\xff\xff\xff"  # a length that no value has


class Row(Protocol):
    """An event's columns by name, as the driver reads them."""

    def __getitem__(self, name: str, /) -> Any:
        """The column's value."""


def canonical(payload: object) -> bytes:
    """The payload as JSON, the same bytes for the same content."""
    return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS, default=str)


def digest(payload: object) -> bytes:
    """SHA-256 of the payload's canonical JSON, as `audit_events.payload_sha256` stores it."""
    return sha256(canonical(payload)).digest()


def seal(prev_hash: bytes, seq: int, row: Row) -> bytes:
    """The hash of a row at place `seq` after the row with `prev_hash`."""
    parts = [VERSION, prev_hash, seq.to_bytes(8, "big")]
    parts += [_encoded(row[name]) for name in FIXED]
    return sha256(b"".join(parts)).digest()


def _encoded(value: object) -> bytes:
    """Length and bytes, so that nothing moves from one column to the next unseen."""
    if value is None:
        return _NULL
    if isinstance(value, datetime):
        value = (value - _EPOCH) // timedelta(microseconds=1)
    if isinstance(value, bool):
        value = "true" if value else "false"
    text = value if isinstance(value, bytes) else str(value).encode()
    return len(text).to_bytes(4, "big") + text


class Wrong(StrEnum):
    """What is wrong with the first row that does not fit."""

    GAP = "gap"  # the row of this seq is missing
    PREV_HASH = "prev_hash"  # it does not name the hash of the row before
    PAYLOAD = "payload"  # payload and payload_sha256 differ
    HASH = "hash"  # a fixed column or the hash was changed
    HEAD = "head"  # the head that somebody noted is no longer in the chain


@dataclass(frozen=True)
class FirstBad:
    """The first row that does not fit; `uuid` is None for one that is missing."""

    seq: int
    uuid: str | None
    wrong: Wrong


class Chain:
    """Follows a chain through rows in order of seq, in as many portions as one likes; keeps no row."""

    def __init__(self, anchor: tuple[int, bytes] | None = None) -> None:
        """`anchor`: a (seq, hash) that was noted elsewhere and must still be in the chain."""
        self.checked = 0
        self.without_payload = 0
        """Sealed rows whose payload is gone: expired, or erased before its time."""
        self.head = GENESIS
        self.first_bad: FirstBad | None = None
        self._anchor = anchor

    def follow(self, rows: Iterable[Row]) -> bool:
        """Whether the chain still holds after these; stops at the first row that does not fit."""
        for row in rows:
            if self.first_bad is not None:
                break
            self._check(row)
        return self.first_bad is None

    def end(self) -> bool:
        """Whether all that was followed is a chain, and reaches as far as the anchor."""
        if self.first_bad is None and self._anchor is not None and self.checked < self._anchor[0]:
            self.first_bad = FirstBad(self.checked + 1, None, Wrong.GAP)
        return self.first_bad is None

    def _check(self, row: Row) -> None:
        seq = self.checked + 1
        wrong = _wrong(row, seq, self.head)
        if wrong is None and self._anchor is not None and self._anchor[0] == seq:
            wrong = Wrong.HEAD if row["hash"] != self._anchor[1] else None
        if wrong is not None:
            self.first_bad = FirstBad(seq, None if wrong is Wrong.GAP else str(row["uuid"]), wrong)
            return
        self.checked = seq
        self.head = row["hash"]
        self.without_payload += row["payload"] is None and row["payload_sha256"] != NO_PAYLOAD


NO_PAYLOAD = digest(None)  # of an event that never had one


def _wrong(row: Row, seq: int, prev_hash: bytes) -> Wrong | None:
    if row["seq"] != seq:
        return Wrong.GAP
    if row["prev_hash"] != prev_hash:
        return Wrong.PREV_HASH
    # An absent payload proves nothing either way: it may have expired.
    if row["payload"] is not None and not _matches(row["payload"], row["payload_sha256"]):
        return Wrong.PAYLOAD
    return Wrong.HASH if seal(prev_hash, seq, row) != row["hash"] else None


def _matches(payload: str, payload_sha256: bytes) -> bool:
    try:
        return digest(orjson.loads(payload)) == payload_sha256
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return False  # deeper than anything we write: put there by somebody else
