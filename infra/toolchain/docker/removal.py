"""Removing what containers may still hold for a moment."""

from __future__ import annotations

from collections.abc import Callable

from docker.errors import APIError, NotFound

from infra.errors import GadError
from infra.toolchain.plugin import Call

# Seconds a deletion waits for the last container to leave: observed with the official plugin.
TIMEOUT_S = 30
INTERVAL_S = 0.5


def remove_when_free(
    call: Call, remove: Callable[[], None], what: str, still_held: Callable[[APIError], GadError]
) -> None:
    """Try until it is gone or the time is over. Raises what `still_held` makes of the last refusal."""
    waited = 0.0
    while True:
        try:
            remove()
        except NotFound:
            return
        except APIError as error:
            if waited >= TIMEOUT_S:
                raise still_held(error) from error
        else:
            return
        call.wait(INTERVAL_S, f"the {what} to be free")
        waited += INTERVAL_S


def too_late(what: str) -> str:
    """The beginning of what is said when the time is over."""
    return f"timeout while waiting for the {what} to be removed (still pending after {TIMEOUT_S}s)"
