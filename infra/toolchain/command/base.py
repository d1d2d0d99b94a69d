"""What the provider's three resource types share: checking, comparing, and staying what they were."""

from __future__ import annotations

import secrets as randomness
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

from infra.errors import GadError
from infra.toolchain.command.capture import Mask
from infra.toolchain.command.comparison import compare_inputs
from infra.toolchain.command.model import Commands, Connection, Logging
from infra.toolchain.plugin import (
    UNKNOWN,
    Call,
    Change,
    Checked,
    Created,
    Diff,
    Failure,
    Properties,
    ReadBack,
    Resource,
    Value,
    check_properties,
)
from infra.toolchain.plugin.properties import Path
from infra.toolchain.plugin.resource import Updated
from infra.toolchain.plugin.schema import DEFAULTS

# Inputs that reach the command: a secret among them makes the outputs secret.
COMMAND = ("create", "update", "delete", "interpreter")
REACHES_COMMAND = (*COMMAND, "stdin", "environment")


class Recorded(Resource):
    """A resource whose world is not looked at: a refresh finds what was recorded."""

    def check(self, call: Call, olds: Properties, news: Properties) -> Checked:
        """By the table; defaults are written into the inputs like the program's own."""
        del call, olds
        token = self.schema.token
        checked = check_properties(self.schema.properties, news, of=token)
        failures = [Failure(problem.path, problem.reason) for problem in checked.problems]
        return Checked(inputs=_without_defaults(checked.inputs), failures=(*failures, *self.refusals(news)))

    def refusals(self, news: Properties) -> Iterator[Failure]:
        """What the table cannot say about the inputs."""
        del news
        yield from ()

    def diff(self, call: Call, id_: str, change: Change) -> Diff:
        """Old inputs against new ones; only triggers replace."""
        del id_
        return compare_inputs(
            change.old_inputs, change.new_inputs, secrets=call.secrets, replaces={"triggers"}
        )

    def read(self, call: Call, id_: str, inputs: Properties, state: Properties) -> ReadBack | None:
        """What was recorded. Raises GadError on an import: there is nothing to look at."""
        del call
        if not inputs and not state:
            raise GadError(
                f"{self.schema.token} {id_} cannot be imported: it leaves nothing to read",
                remedy="declare it and let it run",
            )
        return ReadBack(inputs=inputs, state=state)


class CommandResource(Recorded):
    """A resource that runs `create`, `update` (or `create` again) and `delete`, and has their outputs."""

    model: ClassVar[type[Commands]]

    def create(self, call: Call, inputs: Properties) -> Created:
        """Run `create`. Raises GadError with both outputs when it fails; nothing is recorded then."""
        state = self.run(call, inputs, self.model.of(inputs).create, {})
        return Created(id=new_id(call.name), state=state, secrets=secret_outputs(call.secrets))

    def update(self, call: Call, id_: str, change: Change) -> Updated:
        """Run `update`, or `create` again, with the outputs of the last run in its environment."""
        del id_
        command = self.model.of(change.new_inputs).on_update
        state = self.run(call, change.new_inputs, command, change.state)
        return Updated(state=state, secrets=secret_outputs(call.secrets))

    def delete(self, call: Call, id_: str, inputs: Properties, state: Properties) -> None:
        """Run `delete` of the last inputs, where and as they say."""
        del id_, inputs
        self.run(call, state, self.model.of(state).delete, state)

    @abstractmethod
    def run(self, call: Call, inputs: Properties, command: str | None, last: Properties) -> Properties:
        """Run `command` and return the new state; without one, the outputs of the last run stay."""

    def refusals(self, news: Properties) -> Iterator[Failure]:
        """Logging is one of four words."""
        logging = news.get("logging")
        words = [each.value for each in Logging]
        if isinstance(logging, str) and logging not in words:
            yield Failure("logging", f"logging must be one of {', '.join(words)}, not {logging}")

    def planned(self, call: Call, inputs: Properties, state: Properties | None) -> Properties:
        """The inputs; what the command will print is not known."""
        del call, state
        return {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}


def new_id(prefix: str) -> str:
    """`prefix` and eight random hex digits, as the official provider makes them."""
    return f"{prefix}{randomness.token_hex(4)}"


def secret_outputs(secret_paths: frozenset[Path]) -> frozenset[str]:
    """`stdout` and `stderr` when anything secret reached the command: it may well print it."""
    reached = any(path[0] in REACHES_COMMAND for path in secret_paths)
    return frozenset({"stdout", "stderr"}) if reached else frozenset()


def shown(call: Call, logging: Logging) -> Logging:
    """What is shown of a run: nothing of an output that is itself secret."""
    return Logging.NONE if secret_outputs(call.secrets) else logging


def is_withheld(call: Call) -> bool:
    """Whether a failed run must not be quoted: which part of a secret command is secret, nobody knows."""
    return any(path[0] in COMMAND for path in call.secrets)


def mask_for(call: Call, inputs: Mapping[str, Value], connection: Connection | None = None) -> Mask:
    """Hides the secret inputs, and the credentials of `connection`, from messages."""
    found = [
        text for path in call.secrets if path[0] in REACHES_COMMAND for text in _texts(_at(inputs, path))
    ]
    return Mask([*found, *(connection.secrets() if connection else [])])


def warn_unchecked(call: Call, connection: Connection) -> None:
    """Say which servers could be anyone."""
    for endpoint in (connection, connection.proxy):
        if endpoint is not None and endpoint.host_key is None:
            call.log(
                "warning",
                f"connection.hostKey is not set: {endpoint.host} may be any machine that answers there; "
                "state the server's public host key",
            )


def _without_defaults(value: Properties) -> Properties:
    def clean(item: Value) -> Value:
        return _without_defaults(item) if isinstance(item, dict) else item

    return {key: clean(item) for key, item in value.items() if key != DEFAULTS}


def _at(values: Mapping[str, Value], path: Path) -> Value:
    here: Value = dict(values)
    for step in path:
        if isinstance(here, dict) and isinstance(step, str):
            here = here.get(step)
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            return None
    return here


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
