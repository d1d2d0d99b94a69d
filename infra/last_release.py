"""What the last finished release recorded, out of the stack's own state."""

from __future__ import annotations

import time

from pydantic import ValidationError

from infra.errors import Exit, GadError
from infra.release import Recorded

RECORD = "release-record"
STATE_READS = 10  # chosen: a write of the state takes milliseconds
STATE_READ_PAUSE_S = 0.2


def last_release(stack: str) -> Recorded | None:
    """What the last finished release left in both slots; None before the first.

    The engine reads it from the stack's own state: known at preview too, and the same whoever runs it.
    A plain value, so that which resources exist never hangs on an `apply`. The last step of a release holds
    it as its input, so it is recorded exactly when all of them have gone well.
    """
    import pulumi  # noqa: PLC0415  (half a second, for the program only)

    name = f"organization/{pulumi.get_project()}/{stack}"
    for urn, resource in _resource_outputs(name).items():
        if urn.rsplit("::", 1)[-1] == RECORD:
            return parse_recorded(resource["outputs"]["stdin"])
    return None


def _resource_outputs(name: str) -> dict[str, dict[str, dict[str, str]]]:
    # The engine writes its state while the program runs, and a file backend does not do it in one step:
    # a read that meets a half-written file is made again.
    import pulumi  # noqa: PLC0415

    for left in reversed(range(STATE_READS)):
        try:
            answer = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": name})
        except Exception as error:  # the SDK raises no narrower kind
            if left == 0 or "failed to load checkpoint" not in str(error):
                raise
            time.sleep(STATE_READ_PAUSE_S)
        else:
            outputs: dict[str, dict[str, dict[str, str]]] = answer.value["outputs"]
            return outputs
    raise AssertionError("unreachable")


def parse_recorded(text: str) -> Recorded:
    """The recorded release out of the last step's input; raises GadError if it is not readable."""
    try:
        return Recorded.model_validate_json(text.splitlines()[-1] if text else text)
    except ValidationError as error:
        raise GadError(
            f"the recorded release is not readable: {error.errors()[0]['msg']}",
            remedy=f"export the stack with `pulumi stack export`, correct stdin of {RECORD}, import it",
            exit_code=Exit.REFUSED,
        ) from None
