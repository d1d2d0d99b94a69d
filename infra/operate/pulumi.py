"""The engine, run for one stack of this checkout. Everything that changes a stack goes through it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from rich.console import Console

from infra.errors import Exit, GadError
from infra.names import PROJECT
from infra.operate.events import failure_of
from infra.operate.progress import Progress, Step
from infra.toolchain.environment import process_environment

WRONG_PASSPHRASE = re.compile(r"incorrect passphrase|cipher: message authentication failed", re.IGNORECASE)
NO_PASSPHRASE = re.compile(r"unable to read PULUMI_CONFIG_PASSPHRASE_FILE", re.IGNORECASE)
NO_STACK = re.compile(r"no stack named|stack '.*' not found", re.IGNORECASE)


class Resource(BaseModel):
    """A resource as the state knows it; only the fields that are read here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    urn: str
    type: str
    id: str = ""
    protect: bool = False
    inputs: dict[str, object] = Field(default_factory=dict)
    outputs: dict[str, object] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """Logical name: the last part of the URN."""
        return self.urn.rsplit("::", 1)[-1]


class Operation(BaseModel):
    """An operation that an interrupted update had begun."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    resource: Resource
    type: str


class Deployment(BaseModel):
    """The state of a stack."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    resources: tuple[Resource, ...] = ()
    pending_operations: tuple[Operation, ...] = ()

    def of_type(self, token: str) -> tuple[Resource, ...]:
        """Resources of one type token."""
        return tuple(resource for resource in self.resources if resource.type == token)

    @property
    def outputs(self) -> dict[str, object]:
        """What the stack was declared to be; empty before the first update."""
        declared = self.of_type("stack:host:Declaration")
        return declared[0].outputs if declared else {}


class _ConfigValue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    value: str = ""
    object_value: object | None = Field(default=None, alias="objectValue")

    @property
    def content(self) -> object:
        return self.value if self.object_value is None else self.object_value


_CONFIG = TypeAdapter(dict[str, _ConfigValue])


class _Checkpoint(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    deployment: Deployment = Deployment()


@dataclass(frozen=True)
class Pulumi:
    """`pulumi` for one stack, with this checkout's backend, toolchain and passphrase."""

    root: Path
    stack: str

    @property
    def qualified(self) -> str:
        """The stack's full name on a backend of one's own."""
        return f"organization/{PROJECT}/{self.stack}"

    def run(self, *args: str, steps: list[Step] | None = None, told: Mapping[str, str] | None = None) -> None:
        """Run an update, a line on the terminal for each change; `steps` gets them, also of one that failed.

        `told` are variables for the program. All of the engine's own output goes to a log file. Raises
        GadError with the first true cause.
        """
        log = self.root / ".gad" / "logs" / f"{args[0]}-{self.stack}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        progress = Progress(Console(stderr=True, highlight=False))
        with TemporaryDirectory(dir=log.parent) as folder, log.open("w", encoding="utf-8") as output:
            events = Path(folder) / "events.json"
            # The flag is the one the Automation API uses; the engine hides it from people's own runs.
            process = subprocess.Popen(
                self._command([*args, "--stack", self.stack, "--event-log", str(events)]),
                cwd=self.root,
                env={
                    **process_environment(self.root, self.stack),
                    "PULUMI_DEBUG_COMMANDS": "true",
                    **(told or {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                progress.follow(process, events)
            except KeyboardInterrupt:
                # The terminal has sent it to the engine too, which ends what it has begun.
                process.wait()
                raise
            code = process.wait()
        if steps is not None:
            steps.extend(progress.steps)
        if code != 0:
            relative = str(log.relative_to(self.root))
            if progress.errors:
                raise failure_of(args[0], self.stack, progress.errors, relative)
            raise self._failure(args[0], log.read_text(encoding="utf-8"))

    def read(self, *args: str, stdin: str | None = None) -> str:
        """Run a command quietly and give its output. Raises GadError with the engine's own words."""
        return self._checked([*args, "--stack", self.stack], stdin=stdin)

    def _checked(self, args: Sequence[str], stdin: str | None = None) -> str:
        done = self._spawn(args, stdin=stdin)
        if done.returncode != 0:
            raise self._failure(args[0], done.stderr or done.stdout)
        return done.stdout

    def _spawn(self, args: Sequence[str], *, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(args),
            cwd=self.root,
            env=process_environment(self.root, self.stack),
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
        )

    def _command(self, args: Sequence[str]) -> list[str]:
        path = process_environment(self.root, self.stack)["PATH"]
        executable = shutil.which("pulumi", path=path)
        if executable is None:
            raise GadError("the Pulumi engine is not set up in this checkout", remedy="run `gad setup`")
        return [executable, *args, "--non-interactive"]

    def _failure(self, verb: str, output: str) -> GadError:
        if WRONG_PASSPHRASE.search(output):
            return GadError(
                f"the passphrase of stack {self.stack} is wrong",
                remedy=f"put the right one into .gad/{self.stack}.passphrase, "
                "or point PULUMI_CONFIG_PASSPHRASE_FILE at it",
                exit_code=Exit.REFUSED,
            )
        if NO_STACK.search(output):
            return GadError(
                f"stack {self.stack} does not exist yet", remedy=f"run `gad up {self.stack}`, which makes it"
            )
        if NO_PASSPHRASE.search(output):
            return GadError(
                f"the passphrase file of stack {self.stack} does not exist",
                remedy=f"put it back to .gad/{self.stack}.passphrase, or for a new stack "
                f"run `gad secrets init {self.stack}`",
                exit_code=Exit.REFUSED,
            )
        lines = [line for line in output.splitlines() if line.strip()]
        last = lines[-1].removeprefix("error: ") if lines else "no output"
        return GadError(f"pulumi {verb} of stack {self.stack} failed: {last}", remedy="see the message")

    def exists(self) -> bool:
        """Whether the backend knows the stack."""
        stacks = json.loads(self._checked(["stack", "ls", "--json"]))
        return any(entry["name"].rsplit("/", 1)[-1] == self.stack for entry in stacks)

    def ensure(self) -> None:
        """Make the stack on the backend if it is not there. Raises GadError."""
        if not self.exists():
            self._checked(["stack", "init", self.stack])

    def config(self) -> dict[str, object]:
        """The stack file's values under our namespace, secrets in clear. Raises GadError."""
        text = self.read("config", "--show-secrets", "--json")
        values = _CONFIG.validate_json(text)
        prefix = f"{PROJECT}:"
        return {k.removeprefix(prefix): v.content for k, v in values.items() if k.startswith(prefix)}

    def export(self) -> str:
        """The state as text; secrets in it stay encrypted. Raises GadError."""
        return self.read("stack", "export")

    def deployment(self, exported: str | None = None) -> Deployment:
        """The state, as it is now or as it was `exported`. Raises GadError."""
        try:
            return _Checkpoint.model_validate_json(exported or self.export()).deployment
        except ValidationError as error:
            raise GadError(
                f"the state of stack {self.stack} is not readable: {error.errors()[0]['msg']}",
                remedy="restore it from a backup of the state folder",
            ) from error
