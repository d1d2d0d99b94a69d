"""One spelling for values that have several: capabilities and Go durations."""

from __future__ import annotations

import re

from infra.errors import GadError
from infra.toolchain.plugin import Value

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration such as `1m30s`; an empty text is none. Raises GadError for others."""
    if text in ("", "0"):
        return 0
    if not re.fullmatch(f"(?:{_PART.pattern})+", text):
        raise GadError(f"{text!r} is not a duration", remedy='write it like "30s" or "1m30s"')
    return round(sum(float(number) * _UNITS_NS[unit] for number, unit in _PART.findall(text)))


def format_duration(ns: int) -> str:
    """The Go spelling of `ns` nanoseconds: `1m30s`, `500ms`, `0s`."""
    if ns == 0:
        return "0s"
    if ns < _UNITS_NS["s"]:
        unit = next(unit for unit in ("ms", "µs", "ns") if ns >= _UNITS_NS[unit])
        return f"{_decimal(ns, _UNITS_NS[unit])}{unit}"
    hours, rest = divmod(ns, _UNITS_NS["h"])
    minutes, rest = divmod(rest, _UNITS_NS["m"])
    seconds = f"{_decimal(rest, _UNITS_NS['s'])}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(ns: int, unit_ns: int) -> str:
    return f"{ns / unit_ns:.9f}".rstrip("0").rstrip(".")


def normal_duration(value: Value) -> Value:
    """`60s` and `1m0s` are one duration; none at all counts as missing. Other values are left alone."""
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value) or None
    except GadError:
        return value


def normal_capability(value: Value) -> Value:
    """`net_admin`, `NET_ADMIN` and `CAP_NET_ADMIN` are one capability."""
    if not isinstance(value, str):
        return value
    name = value.upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"
