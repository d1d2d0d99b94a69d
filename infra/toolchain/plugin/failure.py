"""The two failures that mean something to the engine beyond their text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.errors import Exit, GadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .properties import Properties


class Cancelled(GadError):
    """The engine asked every running operation to stop."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"cancelled while waiting for {what}",
            remedy="run the command again",
            exit_code=Exit.INTERRUPTED,
        )


class InitFailed(Exception):
    """The resource exists under `id` but did not become what was declared; it is recorded with `reasons`."""

    def __init__(self, id_: str, state: Properties, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.id = id_
        self.state = state
        self.reasons = tuple(reasons)
