"""Where a stack's things are: a machine, and the prefix of their names. Needs no secret and no state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from infra.claims import claim
from infra.errors import Exit, GadError
from infra.operate import stack_file
from infra.settings import Server
from infra.ssh import SshAccess


@dataclass(frozen=True)
class Place:
    """The server (None: this machine), the stack's prefix on its engine, and the folder of its files."""

    server: SshAccess | None
    prefix: str
    folder: str


def place_of(root: Path, stack: str) -> Place:
    """The place that the stack file names; claims a prefix for a stack on this machine. Raises GadError."""
    server = server_of(root, stack)
    if server.access is None:
        return Place(None, claim(stack, root).prefix, str(root / ".gad" / stack))
    return Place(server.access, f"gad-{stack}", f"{server.base_dir}/{stack}")


def server_of(root: Path, stack: str) -> Server:
    """The server section of a stack file. Raises GadError."""
    source = stack_file.path_of(root, stack).name
    try:
        return Server.model_validate(stack_file.read(root, stack).get("server"))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["server", *(str(part) for part in first["loc"])])
        raise GadError(
            f"{key}: {first['msg'].removeprefix('Value error, ')} ({source})",
            remedy=f"correct {source}; config/stack.schema.json lists every key",
            exit_code=Exit.USAGE,
        ) from None
