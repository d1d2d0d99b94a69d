"""Whether a running stack's audit trail is as it was written."""

from __future__ import annotations

import shlex
import subprocess

from infra.errors import Exit, GadError
from infra.operate.live_slot import serving
from infra.operate.outputs import StackOutputs
from infra.operate.server import line_to

LIMIT_S = 3600  # 1 million events take about a minute on two idle cores


def verify(outputs: StackOutputs, anchor: str | None) -> tuple[str, Exit]:
    """Follow the chain in the live slot. `anchor`: a head (SEQ:HASH) printed before.

    Answers what the application said, and DIFFERENT if the trail was altered. Raises GadError with the
    application's words.
    """
    words = command(serving(outputs), anchor)
    if outputs.server is not None:
        words = line_to(outputs.server).running(shlex.join(words))
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False, timeout=LIMIT_S
    )
    return verdict(outputs.stack, done.returncode, done.stdout, done.stderr)


def command(container: str, anchor: str | None) -> list[str]:
    """For the engine's host. Pure."""
    given = [] if anchor is None else ["--anchor", anchor]
    return ["docker", "exec", container, "python", "-m", "app.audit", "verify", *given]


def verdict(stack: str, status: int, said: str, complained: str) -> tuple[str, Exit]:
    """What an end of the command means. Pure; raises GadError."""
    # With status 1 and nothing on stdout it is the engine that speaks, or a program that broke.
    if status in {Exit.OK, Exit.DIFFERENT} and said:
        return said.strip(), Exit(status)
    lines = [line for line in complained.splitlines() if line.strip()] or ["no reason given"]
    fact = next((line for line in lines if "error: " in line), lines[-1])
    remedy = next((line for line in lines if line.startswith("remedy: ")), f"look at `gad status {stack}`")
    raise GadError(
        fact.rpartition("error: ")[2],
        remedy=remedy.removeprefix("remedy: "),
        exit_code=Exit.USAGE if status == Exit.USAGE else Exit.FAILED,
    )
