"""What is said over a socket: what clients may send, and what they are told beside events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MAX_TOPICS = 200  # chosen: a screen full of tasks and officers, each with a topic of its own
MAX_MESSAGE = 16 * 1024  # chosen: `MAX_TOPICS` of 45 characters and a token
PROTOCOL = "gad.v1"

# Close codes (product contract, section 6, and RFC 6455).
FAILED = 1011
RESTARTS = 1012
TRY_LATER = 1013
NO_AUTH = 4401
SILENT = 4408
TOO_MUCH = 4429

TopicName = Annotated[str, Field(min_length=1, max_length=64)]
LastId = Annotated[str, Field(pattern=r"^[0-9]{1,15}(-[0-9]{1,10})?$")]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Auth(_Message):
    """Who is speaking; again before the token expires. `last_id`: replay what came after it."""

    type: Literal["auth"]
    token: Annotated[str, Field(min_length=1, max_length=4096)]
    last_id: LastId | None = None


class Subscribe(_Message):
    """Hear of these topics too; with `last_id` also of what came after it."""

    type: Literal["subscribe"]
    topics: Annotated[list[TopicName], Field(min_length=1, max_length=MAX_TOPICS)]
    last_id: LastId | None = None


class Unsubscribe(_Message):
    """Hear of these topics no more."""

    type: Literal["unsubscribe"]
    topics: Annotated[list[TopicName], Field(min_length=1, max_length=MAX_TOPICS)]


class Pong(_Message):
    """Still there."""

    type: Literal["pong"]


ClientMessage = Auth | Subscribe | Unsubscribe | Pong
_ADAPTER: TypeAdapter[ClientMessage] = TypeAdapter(
    Annotated[ClientMessage, Field(discriminator="type")], config=ConfigDict(hide_input_in_errors=True)
)


def read(text: str | bytes) -> ClientMessage | None:
    """The message, or None for whatever is none."""
    try:
        return _ADAPTER.validate_python(orjson.loads(text))
    except (orjson.JSONDecodeError, ValidationError):
        return None


def told(kind: str, data: Mapping[str, object], topic: str | None = None) -> bytes:
    """A message that is no event of the stream: the same envelope without an id."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps({"id": None, "type": kind, "topic": topic, "data": data, "ts": now})


def frame(payload: bytes) -> bytes:
    """An unmasked text frame of RFC 6455, the same for everybody."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload
