"""Where a stack's things are: an engine, and the prefix of their names. Needs no secret and no state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.claims import claim
from infra.errors import Exit, GadError
from infra.operate import stack_file


class _Server(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    address: str | None = None
    port: int = 22
    user: str = "deploy"


@dataclass(frozen=True)
class Place:
    """An engine's address (`local`, or ssh://…) and the stack's prefix on it."""

    engine: str
    prefix: str


def place_of(root: Path, stack: str) -> Place:
    """The place that the stack file names. Raises GadError."""
    source = stack_file.path_of(root, stack).name
    try:
        server = _Server.model_validate(stack_file.read(root, stack).get("server"))
    except ValidationError as error:
        raise GadError(
            f"server is not readable ({source}): {error.errors()[0]['msg']}",
            remedy=f"correct {source}; config/stack.schema.json lists every key",
            exit_code=Exit.USAGE,
        ) from None
    if server.address is None:
        return Place(engine="local", prefix=claim(stack, root).prefix)
    return Place(engine=f"ssh://{server.user}@{server.address}:{server.port}", prefix=f"gad-{stack}")
