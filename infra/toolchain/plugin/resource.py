"""What a provider and its resource types implement."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .check import check_properties
from .diff import Change, Diff, diff_properties
from .failure import Cancelled
from .properties import UNKNOWN, Path, Properties, Value
from .schema import DEFAULTS, Property, Schema

Log = Callable[[str, str], None]


@dataclass(frozen=True, kw_only=True)
class Call:
    """The circumstances of one operation. `timeout_s` is the program's customTimeouts, 0 when it set none."""

    urn: str
    type: str
    cancelled: threading.Event
    log: Log  # (severity: debug | info | status | warning | error, message)
    preview: bool = False
    timeout_s: float = 0
    random_seed: bytes = b""
    secrets: frozenset[Path] = frozenset()  # paths in the inputs and the state that the engine sent as secret

    @property
    def name(self) -> str:
        """The logical name in the program."""
        return self.urn.rsplit("::", 1)[-1]

    def wait(self, seconds: float, what: str) -> None:
        """Pause for `seconds` inside a wait for `what`. Raises Cancelled as soon as the engine cancels."""
        if self.cancelled.wait(seconds):
            raise Cancelled(what)


@dataclass(frozen=True)
class Failure:
    """An input that cannot be taken: the property and one sentence."""

    property: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The inputs as they will be recorded, and what is wrong with them."""

    inputs: Properties
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Created:
    """A new resource. `secrets` names outputs that are secret although no input at their path was."""

    id: str
    state: Properties
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class ReadBack:
    """What the world says about a resource: its outputs, and the inputs that would produce them."""

    inputs: Properties
    state: Properties
    id: str | None = None  # when reading found the real id, as an import by name does
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Updated:
    """The outputs after an update."""

    state: Properties
    secrets: frozenset[str] = frozenset()


class Resource(ABC):
    """One resource type."""

    schema: Schema
    autoname: str | None = None  # the input that is made up when the program leaves it out
    renders_defaults: bool = True  # whether `__defaults` and defaults are written into the inputs

    def check(self, call: Call, olds: Properties, news: Properties) -> Checked:
        """Names, types and defaults by the table; a missing physical name is made up or kept."""
        checked = check_properties(
            self.schema.properties, news, of=short(self.schema.token), defaults=self.renders_defaults
        )
        inputs = checked.inputs
        if self.autoname is not None and self.autoname not in inputs:
            inputs[self.autoname] = self._physical_name(call, olds)
            defaults = inputs.get(DEFAULTS)
            inputs[DEFAULTS] = sorted(
                [*(defaults if isinstance(defaults, list) else []), self.autoname], key=str
            )
        return Checked(
            inputs=inputs, failures=tuple(Failure(each.path, each.reason) for each in checked.problems)
        )

    def diff(self, call: Call, id_: str, change: Change) -> Diff:
        """Compare by the table."""
        del call, id_
        return diff_properties(
            self.schema.properties, change, delete_before_replace=self.deletes_first(change.new_inputs)
        )

    def deletes_first(self, inputs: Properties) -> bool:
        """Whether a replacement must delete first: two of one fixed name cannot live at once."""
        defaults = inputs.get(DEFAULTS)
        return self.autoname is not None and not (isinstance(defaults, list) and self.autoname in defaults)

    def planned(self, call: Call, inputs: Properties, state: Properties | None) -> Properties:
        """The outputs of a preview: the inputs, over the state on an update; the rest is not known yet."""
        del call
        outputs = {key: value for key, value in inputs.items() if key != DEFAULTS}
        for key, prop in self.schema.properties.items():
            if key not in outputs and (prop.computed or prop.output):
                outputs[key] = UNKNOWN if state is None else state.get(key)
        return outputs

    @abstractmethod
    def create(self, call: Call, inputs: Properties) -> Created:
        """Make it. Raises InitFailed when it exists but failed, GadError when nothing was made."""

    @abstractmethod
    def read(self, call: Call, id_: str, inputs: Properties, state: Properties) -> ReadBack | None:
        """Look at it; None when it is gone. `inputs` and `state` are empty on an import."""

    @abstractmethod
    def update(self, call: Call, id_: str, change: Change) -> Updated:
        """Change it in place."""

    @abstractmethod
    def delete(self, call: Call, id_: str, inputs: Properties, state: Properties) -> None:
        """Remove it; one that is gone already is no error."""

    def _physical_name(self, call: Call, olds: Properties) -> Value:
        defaults = olds.get(DEFAULTS)
        if self.autoname is not None and isinstance(defaults, list) and self.autoname in defaults:
            return olds.get(self.autoname)
        # Seven hex digits of the engine's seed: the same in the preview and the run that follows it.
        suffix = call.random_seed.hex()[:7]
        return f"{call.name}-{suffix}" if suffix else UNKNOWN


@dataclass
class Provider(ABC):
    """A package of resource types. `refused` maps the tokens that are known but not supported to a reason."""

    name: str
    version: str
    resources: Mapping[str, Resource]
    config: Mapping[str, Property] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @abstractmethod
    def configure(self, config: Properties) -> None:
        """Take the provider's configuration; a value may be UNKNOWN in a preview. Connect lazily."""


def short(token: str) -> str:
    """The type's own name: `Container` of `docker:index/container:Container`."""
    return re.split(r"[:/]", token)[-1]
