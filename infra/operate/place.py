"""Where a stack's things are: a machine, and the prefix of their names. Needs no secret and no state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from infra.claims import claim
from infra.errors import Exit, GadError
from infra.operate import stack_file
from infra.settings import DataServer, Server
from infra.ssh import SshAccess

S = TypeVar("S", bound=Server)


@dataclass(frozen=True)
class Place:
    """The server (None: this machine), the stack's prefix on its engine, and the folder of its files."""

    server: SshAccess | None
    prefix: str
    folder: str
    data: Place | None = None  # the server of PostgreSQL and Redis, if it is another

    @property
    def all(self) -> tuple[Place, ...]:
        """Each machine that has something of the stack."""
        return (self,) if self.data is None else (self, self.data)


def place_of(root: Path, stack: str) -> Place:
    """The place that the stack file names; claims a prefix for a stack on this machine. Raises GadError."""
    server = server_of(root, stack)
    if server.access is None:
        return Place(None, claim(stack, root).prefix, str(root / ".gad" / stack / "host"))
    second = data_server_of(root, stack)
    data = None
    if second is not None:
        data = Place(second.access, f"gad-{stack}", f"{second.base_dir}/{stack}")
    return Place(server.access, f"gad-{stack}", f"{server.base_dir}/{stack}", data)


def server_of(root: Path, stack: str) -> Server:
    """The server section of a stack file. Raises GadError."""
    return _section(root, stack, "server", Server)


def data_server_of(root: Path, stack: str) -> DataServer | None:
    """The section of the second server; None if the stack file has none. Raises GadError."""
    if "data_server" not in stack_file.read(root, stack):
        return None
    return _section(root, stack, "data_server", DataServer)


def _section(root: Path, stack: str, name: str, model: type[S]) -> S:
    source = stack_file.path_of(root, stack).name
    try:
        return model.model_validate(stack_file.read(root, stack).get(name))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([name, *(str(part) for part in first["loc"])])
        raise GadError(
            f"{key}: {first['msg'].removeprefix('Value error, ')} ({source})",
            remedy=f"correct {source}; config/stack.schema.json lists every key",
            exit_code=Exit.USAGE,
        ) from None
