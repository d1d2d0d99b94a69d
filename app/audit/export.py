"""Audit events as CSV: RFC 4180, UTF-8, and no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from app.audit.chain import Row

COLUMNS = (
    "seq",
    "at",
    "type",
    "severity",
    "actor",
    "channel",
    "resource",
    "success",
    "request_id",
    "payload",
    "payload_sha256",
    "prev_hash",
    "hash",
    "uuid",
)
# What begins a formula in one spreadsheet or another (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def harmless(cell: str) -> str:
    """The cell as text: a quote before whatever would begin a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def header() -> bytes:
    """The first line."""
    return _lines([COLUMNS])


def lines(rows: Iterable[Row]) -> bytes:
    """A line for each event."""
    return _lines([_cell(name, row[name]) for name in COLUMNS] for row in rows)


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if name == "at":
        return str(value).replace(" ", "T").replace("+00:00", "Z")
    return harmless(str(value))


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue().encode()
