"""`command:remote:Command`: a command on a server, over SSH."""

from __future__ import annotations

from infra.toolchain.command import tables
from infra.toolchain.command.base import (
    CommandResource,
    is_withheld,
    mask_for,
    new_id,
    secret_outputs,
    shown,
    warn_unchecked,
)
from infra.toolchain.command.capture import Capture
from infra.toolchain.command.connection import connect
from infra.toolchain.command.model import RemoteInputs
from infra.toolchain.command.session import accepted_variables, run_remote
from infra.toolchain.plugin import Call, Change, Created, Properties
from infra.toolchain.plugin.resource import Updated


class RemoteCommand(CommandResource):
    """Runs `create`, `update` (or `create` again) and `delete` on the server of `connection`."""

    schema = tables.REMOTE

    def create(self, call: Call, inputs: Properties) -> Created:
        """Run `create`. Raises GadError with both outputs when it fails; nothing is recorded then."""
        state = self._run(call, inputs, RemoteInputs.of(inputs).create, {})
        return Created(id=new_id(call.name), state=state, secrets=secret_outputs(call.secrets))

    def update(self, call: Call, id_: str, change: Change) -> Updated:
        """Run `update`, or `create` again."""
        del id_
        command = RemoteInputs.of(change.new_inputs).on_update
        state = self._run(call, change.new_inputs, command, change.state)
        return Updated(state=state, secrets=secret_outputs(call.secrets))

    def delete(self, call: Call, id_: str, inputs: Properties, state: Properties) -> None:
        """Run `delete` of the last inputs, on the last connection."""
        del id_, inputs
        self._run(call, state, RemoteInputs.of(state).delete, state)

    def _run(self, call: Call, inputs: Properties, command: str | None, last: Properties) -> Properties:
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
