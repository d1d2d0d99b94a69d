"""`command:remote:Command`: a command on a server, over SSH."""

from __future__ import annotations

from infra.toolchain.command import tables
from infra.toolchain.command.base import (
    CommandResource,
    is_withheld,
    mask_for,
    shown,
    warn_unchecked,
)
from infra.toolchain.command.capture import Capture
from infra.toolchain.command.connection import connect
from infra.toolchain.command.model import RemoteInputs
from infra.toolchain.command.session import accepted_variables, run_remote
from infra.toolchain.plugin import Call, Properties


class RemoteCommand(CommandResource):
    """Runs them on the server of `connection`."""

    schema = tables.REMOTE
    model = RemoteInputs

    def run(self, call: Call, inputs: Properties, command: str | None, last: Properties) -> Properties:
        """Run `command` and return the new state; without one, the outputs of the last run stay."""
        if command is None:
            return {**inputs, "stdout": last.get("stdout", ""), "stderr": last.get("stderr", "")}
        given = RemoteInputs.of(inputs)
        mask = mask_for(call, inputs, given.connection)
        capture = Capture(lambda line: call.log("status", line), shown(call, given.logging), mask)
        warn_unchecked(call, given.connection)
        with connect(given.connection, call) as transport:
            variables = accepted_variables(transport, call, given.environment, given.variables(last))
            failure = run_remote(
                transport,
                command,
                variables=variables,
                stdin=given.stdin,
                capture=capture,
                cancelled=call.cancelled,
                timeout_s=call.timeout_s,
            )
        if failure is not None:
            raise capture.failure(failure, command, withheld=is_withheld(call))
        return {**inputs, **capture.outputs()}
