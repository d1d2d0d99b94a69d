"""Measures a running dev stack: what people wait for, each number beside its target."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import Exit, GadError
from infra.image_lock import read_lock
from infra.operate import bench_cpu, bench_http, bench_load, bench_query, bench_rebuild, bench_ws
from infra.operate.bench_figure import Figure
from infra.operate.certificate import authority_file
from infra.operate.images.progress import Reporter
from infra.operate.outputs import StackOutputs, read_outputs
from infra.operate.pulumi import Pulumi
from infra.operate.users import demo_admin

NOTHING_TO_DO_S = 15.0  # `make up` where all is as declared: specified
WHOLE_STACK_S = 60.0  # images and engine cached: specified
LIMIT_S = 900

Say = Callable[[str], None]


class _Preview(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    summary: dict[str, int] = Field(alias="changeSummary")


def bench(pulumi: Pulumi, reporter: Reporter, *, restart: bool) -> list[Figure]:
    """Measure; `restart` also takes the stack down and up, which keeps its data.

    The stack is brought to its file first, so that what is measured afterwards is nothing to do.
    Raises GadError, and refuses what is not a dev stack.
    """
    _refuse_others_than_dev(_outputs(pulumi))
    run = _Commands(pulumi.root, pulumi.stack)
    reporter.say("bringing the stack to its file")
    run.timed("make", "up", f"STACK={pulumi.stack}")
    outputs = _outputs(pulumi)
    reporter.say("measuring updates with nothing to do")
    figures = [_load(), *_nothing_to_do(run), *_preview(pulumi)]
    figures += _served(pulumi, outputs, reporter)
    reporter.say("measuring a changed line of the application")
    figures.append(bench_rebuild.measure(pulumi.root, reporter))
    if restart:
        reporter.say(f"measuring down and up; interrupted, `gad up {pulumi.stack}` brings the stack back")
        figures += _restart(run)
    return [*figures, *_sizes(pulumi.root, outputs)]


def _served(pulumi: Pulumi, outputs: StackOutputs, reporter: Reporter) -> list[Figure]:
    """What people who use the stack wait for, and what it costs."""
    account = demo_admin(pulumi.root, outputs)
    authority = authority_file(pulumi.root, pulumi.stack) if outputs.tls == "internal" else None
    figures: list[Figure] = []
    reporter.say("measuring the nearest officers: SQL, then HTTP over TLS")
    figures += bench_query.measure(outputs)
    figures += bench_http.measure(outputs.url, authority, account)
    reporter.say("measuring what one read costs the API's process")
    figures += bench_cpu.measure(outputs, authority, account)
    reporter.say(f"measuring {bench_load.PER_SECOND} mixed requests a second for {bench_load.SECONDS:.0f} s")
    figures += bench_load.measure(outputs.url, authority, account)
    reporter.say(f"measuring live events to {bench_ws.CLIENTS:,} sockets")
    figures += bench_ws.measure(outputs.url, authority, account)
    return figures


def _outputs(pulumi: Pulumi) -> StackOutputs:
    return read_outputs(pulumi.stack, pulumi.deployment().outputs)


def _refuse_others_than_dev(outputs: StackOutputs) -> None:
    if outputs.environment != "dev":
        raise GadError(
            f"stack {outputs.stack} is {outputs.environment}; measuring takes a stack down and up again",
            remedy="measure a dev stack",
            exit_code=Exit.REFUSED,
        )


class _Commands:
    """Commands of this checkout as a person types them: the start of the interpreter is part of the wait."""

    def __init__(self, root: Path, stack: str) -> None:
        self.root, self.stack = root, stack
        self.log = root / ".gad" / "logs" / f"bench-{stack}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("", encoding="utf-8")

    def gad(self, *args: str) -> float:
        """Seconds of a `gad` command."""
        return self.timed(str(self.root / "bin" / "gad"), *args)

    def timed(self, *command: str) -> float:
        """Seconds until it ended well. Raises GadError otherwise."""
        # Under `make bench` these would make an inner make answer for the outer one.
        environment = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n")
            log.flush()
            began = time.monotonic()
            done = subprocess.run(
                command,
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=LIMIT_S,
                check=False,
            )
        if done.returncode != 0:
            raise GadError(
                f"`{Path(command[0]).name} {' '.join(command[1:])}` failed while it was measured",
                remedy=f"read {self.log.relative_to(self.root)}",
            )
        return time.monotonic() - began


def _load() -> Figure:
    """What else the machine has to do: seconds measured on a busy one are not this project's alone."""
    return Figure(
        what="load of the machine before",
        measured=round(os.getloadavg()[0], 2),
        unit="",
        detail=f"1 min, {os.cpu_count()} cores",
    )


def _nothing_to_do(run: _Commands) -> list[Figure]:
    parts = {
        "gad images build, nothing changed": ("images", "build", "--group", "core"),
        "gad up --no-verify, nothing changed": ("up", run.stack, "--no-verify"),
        "gad verify": ("verify", run.stack),
    }
    figures = [Figure(what=what, measured=run.gad(*args), unit="s") for what, args in parts.items()]
    whole = run.timed("make", "up", f"STACK={run.stack}")
    return [
        Figure(what="make up, nothing changed", measured=whole, unit="s", target=NOTHING_TO_DO_S),
        *figures,
    ]


def _preview(pulumi: Pulumi) -> list[Figure]:
    began = time.monotonic()
    changes = changes_in(pulumi.read("preview", "--json"))
    seconds = time.monotonic() - began
    return [
        Figure(what="pulumi preview, nothing changed", measured=seconds, unit="s"),
        Figure(what="changes in that preview", measured=changes, unit="", target=0),
    ]


def changes_in(preview: str) -> int:
    """How many resources a `pulumi preview --json` wants to change. Raises GadError if it is another form."""
    try:
        summary = _Preview.model_validate(json.loads(preview)).summary
    except (ValidationError, json.JSONDecodeError) as error:
        raise GadError("pulumi preview --json answered no summary", remedy="run it and look") from error
    return sum(count for operation, count in summary.items() if operation != "same")


def _restart(run: _Commands) -> list[Figure]:
    down = run.gad("down", run.stack)
    up = run.gad("up", run.stack, "--no-verify")
    return [
        Figure(what="gad down", measured=down, unit="s", detail="data kept"),
        Figure(
            what="gad up of the whole stack",
            measured=up,
            unit="s",
            target=WHOLE_STACK_S,
            detail="images and engine cached",
        ),
    ]


def _sizes(root: Path, outputs: StackOutputs) -> list[Figure]:
    lock = read_lock(root)
    entries = [entry for name in sorted(outputs.images) if (entry := lock.get(name)) is not None]
    return [
        Figure(
            what=f"image {entry.name}",
            measured=round(entry.size_bytes / 1e6),
            unit="MB",
            detail=f"{entry.own_bytes / 1e6:.0f} MB above its base",
        )
        for entry in entries
    ]
