"""One operation of the API as data, so that a test can compare all of them with the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """What the API gives; it may grow further members, which older clients pass over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Body(BaseModel):
    """What the API takes; members left None are not sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Answer):
    """The answer of 204."""


Expected = TypeVar("Expected", bound=Answer)


@dataclass(frozen=True, kw_only=True)
class Operation(Generic[Expected]):
    """`path` holds names in braces. `is_once`: sent with an Idempotency-Key, so that a repeat is harmless."""

    method: str
    path: str
    answer: type[Expected]
    status: int = 200
    body: type[Body] | None = None
    query: tuple[str, ...] = ()
    is_once: bool = False
    is_versioned: bool = False  # needs If-Match

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
