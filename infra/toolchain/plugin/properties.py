"""Property maps between the engine's protobuf `Struct` and plain Python, with secrets, unknowns and files.

The signature constants are those of the engine's wire format (`sdk/go/common/resource` of Pulumi 3.259.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from google.protobuf import struct_pb2

SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"  # pragma: allowlist secret
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 a marker, not a secret  # pragma: allowlist secret
ASSET = "c44067f5952c0a294b673a41bacd8c17"  # pragma: allowlist secret
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"  # pragma: allowlist secret
UNKNOWN_SENTINELS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # of any type
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
UNKNOWN_SENTINEL = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Unknown:
    """A value that exists only after the run; there is one instance, `UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Asset:
    """One file: its text, a path on this machine, or a URI; `hash` is the engine's sha256 of the content."""

    text: str | None = None
    path: str | None = None
    uri: str | None = None
    hash: str | None = None


@dataclass(frozen=True)
class Archive:
    """Many files: a folder or archive file on this machine, a URI, or named members."""

    assets: Mapping[str, Asset | Archive] | None = None
    path: str | None = None
    uri: str | None = None
    hash: str | None = field(default=None)


Value: TypeAlias = (
    bool | int | float | str | Unknown | Asset | Archive | list["Value"] | dict[str, "Value"] | None
)
Properties: TypeAlias = dict[str, Value]
Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Decoded:
    """A property map without markers, and the paths that were marked secret."""

    values: Properties
    secrets: frozenset[Path]


def from_struct(struct: struct_pb2.Struct) -> Decoded:
    """Decode what the engine sent. Whole numbers become `int`, nulls are left out of objects."""
    secrets: set[Path] = set()
    values: Properties = {
        key: value
        for key, raw in struct.fields.items()
        if (value := _decode(raw, (key,), secrets)) is not None
    }
    return Decoded(values, frozenset(secrets))


def to_struct(values: Mapping[str, Value], secrets: Iterable[Path] = ()) -> struct_pb2.Struct:
    """Encode for the engine, marking `secrets`; a path that is no longer there marks its whole property."""
    marked = {_existing(values, path) for path in secrets if path and path[0] in values}
    struct = struct_pb2.Struct()
    for key, value in values.items():
        if value is not None:
            struct.fields[key].CopyFrom(_encode(value, (key,), marked))
    return struct


def _decode(raw: struct_pb2.Value, path: Path, secrets: set[Path]) -> Value:
    kind = raw.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if raw.string_value in UNKNOWN_SENTINELS else raw.string_value
    if kind == "number_value":
        return int(raw.number_value) if raw.number_value.is_integer() else raw.number_value
    if kind == "bool_value":
        return raw.bool_value
    if kind == "list_value":
        return [_decode(item, (*path, index), secrets) for index, item in enumerate(raw.list_value.values)]
    if kind == "struct_value":
        return _decode_object(raw.struct_value, path, secrets)
    return None


def _decode_object(struct: struct_pb2.Struct, path: Path, secrets: set[Path]) -> Value:
    fields = struct.fields
    signature = fields[SIGNATURE_KEY].string_value if SIGNATURE_KEY in fields else ""
    if signature == SECRET:
        secrets.add(path)
        return _decode(fields["value"], path, secrets)
    if signature == ASSET:
        return Asset(**{key: _text(fields, key) for key in ("text", "path", "uri", "hash")})
    if signature == ARCHIVE:
        return Archive(
            assets=_members(fields["assets"], path, secrets) if "assets" in fields else None,
            path=_text(fields, "path"),
            uri=_text(fields, "uri"),
            hash=_text(fields, "hash"),
        )
    return {
        key: value
        for key, raw in fields.items()
        if (value := _decode(raw, (*path, key), secrets)) is not None
    }


def _text(fields: Mapping[str, struct_pb2.Value], key: str) -> str | None:
    # An empty text is a file without content; an empty path or URI is one that was not given.
    if key not in fields:
        return None
    text = fields[key].string_value
    return text if text or key == "text" else None


def _members(raw: struct_pb2.Value, path: Path, secrets: set[Path]) -> dict[str, Asset | Archive]:
    decoded = {key: _decode(item, path, secrets) for key, item in raw.struct_value.fields.items()}
    return {key: item for key, item in decoded.items() if isinstance(item, (Asset, Archive))}


def _existing(values: Mapping[str, Value], path: Path) -> Path:
    """`path` when it leads somewhere, else its first step."""
    here: Value = dict(values)
    for step in path:
        if isinstance(here, dict) and isinstance(step, str):
            here = here.get(step)
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            return path[:1]
        if here is None:
            return path[:1]
    return path


def _encode(value: Value, path: Path, secrets: set[Path]) -> struct_pb2.Value:
    encoded = _encode_plain(value, path, secrets)
    if path not in secrets:
        return encoded
    wrapped = struct_pb2.Value()
    wrapped.struct_value.fields[SIGNATURE_KEY].string_value = SECRET
    wrapped.struct_value.fields["value"].CopyFrom(encoded)
    return wrapped


def _encode_plain(value: Value, path: Path, secrets: set[Path]) -> struct_pb2.Value:
    encoded = struct_pb2.Value()
    if value is None:
        encoded.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, Unknown):
        encoded.string_value = UNKNOWN_SENTINEL
    elif isinstance(value, bool):
        encoded.bool_value = value
    elif isinstance(value, (int, float)):
        encoded.number_value = value
    elif isinstance(value, str):
        encoded.string_value = value
    elif isinstance(value, (Asset, Archive)):
        _encode_file(encoded.struct_value, value)
    elif isinstance(value, list):
        encoded.list_value.values.extend(
            _encode(item, (*path, index), secrets) for index, item in enumerate(value)
        )
        encoded.list_value.SetInParent()
    else:
        for key, item in value.items():
            if item is not None:
                encoded.struct_value.fields[key].CopyFrom(_encode(item, (*path, key), secrets))
        encoded.struct_value.SetInParent()
    return encoded


def _encode_file(struct: struct_pb2.Struct, value: Asset | Archive) -> None:
    struct.fields[SIGNATURE_KEY].string_value = ASSET if isinstance(value, Asset) else ARCHIVE
    for key in ("path", "uri", "hash"):
        text = getattr(value, key)
        if isinstance(text, str):
            struct.fields[key].string_value = text
    if isinstance(value, Asset):
        if value.text is not None:
            struct.fields["text"].string_value = value.text
    elif value.assets is not None:
        members = struct.fields["assets"].struct_value
        members.SetInParent()
        for name, member in value.assets.items():
            _encode_file(members.fields[name].struct_value, member)
