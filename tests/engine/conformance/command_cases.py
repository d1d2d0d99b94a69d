"""The cases of command.yaml, typed, and what they expect of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from tests.engine.conformance.harness import Step

Changes = Mapping[str, str]
Files = Mapping[str, str]
KINDS = {
    "local": "pulumi_command.local.Command",
    "remote": "pulumi_command.remote.Command",
    "copy": "pulumi_command.remote.CopyToRemote",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Part):
    """What an edit does, with the kind of each changed path."""

    update: Changes | None = None
    replace: Changes | None = None

    def steps(self) -> tuple[Step, ...]:
        """The engine's steps: an update in place, or new first, then the old one goes."""
        if self.update is not None:
            return (Step("update", (), _tops(self.update), self.update),)
        assert self.replace is not None
        new, old = (
            Step(op, (), _tops(self.replace), self.replace) for op in ("create-replacement", "replace")
        )
        return (new, old, Step("delete-replaced"))


class Case(_Part):
    """One resource through its whole life."""

    inputs: Mapping[str, object]
    edit: Mapping[str, object] | None = None
    change: Change | Literal["same"] = "same"
    outputs: Mapping[str, str] | None = None
    edited_outputs: Mapping[str, str] | None = None
    files: tuple[Files, Files, Files] = ({}, {}, {})
    tamper: str | None = None
    warns: str | None = None
    create_warns: str | None = None

    def edit_steps(self) -> tuple[Step, ...]:
        """What the engine must do on the edit."""
        return (Step("same"),) if self.change == "same" else self.change.steps()


class Failure(_Part):
    """One creation that fails."""

    inputs: Mapping[str, object]
    says: tuple[str, ...]


class Cases(_Part):
    """The whole file."""

    cases: Mapping[str, Case]
    failures: Mapping[str, Failure]


def load_cases() -> Cases:
    """Read command.yaml beside this file."""
    return Cases.model_validate(yaml.safe_load(Path(__file__).with_name("command.yaml").read_text()))


def _tops(paths: Changes) -> tuple[str, ...]:
    return tuple(sorted({path.split("[")[0].split(".")[0] for path in paths}))
