"""What the engine says while it works, as far as a person wants to read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import Exit, GadError

SIGNS = {
    "create": "+",
    "update": "~",
    "delete": "-",
    "create-replacement": "±",
    "delete-replaced": "-",
    "import": "=",
}
DONE = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "create-replacement": "replaced",
    "delete-replaced": "stopped",
    "import": "imported",
}
# Components and providers only group what is really there.
OURS = ("stack:", "pulumi:")
# "exit status 1: running "<the whole script>":" as the command provider reports a failure.
SCRIPT = re.compile(r'^(exit status \d+): running ".*?":\s*$', re.DOTALL | re.MULTILINE)
NOISE = re.compile(
    r"^(update|preview|destroy|refresh) failed$|^resource .* has a problem|^one or more errors"
)


class Metadata(BaseModel):
    """The resource an event is about."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    op: str
    urn: str
    type: str
    diffs: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """Its logical name."""
        return self.urn.rsplit("::", 1)[-1]


class _About(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    metadata: Metadata


class Diagnostic(BaseModel):
    """A message of the engine, the program or a provider."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    message: str
    severity: str
    urn: str = ""
    ephemeral: bool = False


class Event(BaseModel):
    """One line of the engine's event log; at most one of the fields is there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    timestamp: int = 0
    begun: _About | None = Field(default=None, alias="resourcePreEvent")
    ended: _About | None = Field(default=None, alias="resOutputsEvent")
    failed: _About | None = Field(default=None, alias="resOpFailedEvent")
    diagnostic: Diagnostic | None = Field(default=None, alias="diagnosticEvent")


def parse(lines: Iterable[str]) -> Iterator[Event]:
    """Events out of complete lines; a line that is none is passed over."""
    for line in lines:
        try:
            yield Event.model_validate_json(line)
        except ValidationError:
            continue


@dataclass(frozen=True)
class Change:
    """One resource that was changed, for a line on the screen."""

    sign: str
    name: str
    done: str
    keys: tuple[str, ...]


def change_of(event: Event) -> Change | None:
    """The change that an event reports as done; None for what stays, refreshes, and mere groups."""
    if event.ended is None:
        return None
    about = event.ended.metadata
    if about.op not in SIGNS or about.type.startswith(OURS):
        return None
    return Change(SIGNS[about.op], about.name, DONE[about.op], about.diffs or ())


def failure_of(verb: str, stack: str, errors: Iterable[Diagnostic], log: str) -> GadError:
    """The first true cause among the engine's errors, in our form.

    Our own program and providers say `fact`, newline, `remedy: …`; anything else keeps its words,
    without the script that failed. A script's own sentence is enough, whatever it printed beside it.
    """
    for diagnostic in errors:
        text, scripts = SCRIPT.subn(r"\1", diagnostic.message.strip())
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not lines or NOISE.match(lines[0].removeprefix("error: ")):
            continue
        name = diagnostic.urn.rsplit("::", 1)[-1]
        about = f"{name}: " if name and not name.endswith(f"-{stack}") else ""
        remedy = next((line for line in lines if line.startswith("remedy: ")), None)
        ours = [line for line in lines if line.startswith("error: ")] if scripts else []
        facts = [
            line.removeprefix("error: ") for line in ours[:1] or lines if not line.startswith("remedy: ")
        ]
        return GadError(
            f"{about}{'; '.join(facts[:4])}",
            remedy=remedy.removeprefix("remedy: ")
            if remedy
            else f"correct it and run again; all of it is in {log}",
            exit_code=Exit.FAILED,
        )
    return GadError(f"pulumi {verb} of stack {stack} failed", remedy=f"read {log}")
