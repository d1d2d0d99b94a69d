"""The database schema of a running stack: what it is at, whether it is what the code describes."""

from __future__ import annotations

import re
import secrets as random
import shlex
import subprocess
from pathlib import PurePosixPath
from typing import Literal

from infra.errors import Exit, GadError
from infra.migrator import SECRETS, docker_run, docker_sql
from infra.names import Names
from infra.operate.docker_engine import connect
from infra.operate.outputs import StackOutputs
from infra.operate.server import own_words, run_script

Command = Literal["current", "upgrade", "check"]
LIMIT_S = 3600  # a large table takes its time; the program itself waits 300 s for another migrator
ENGINE_FAILED = 125  # `docker run`'s own failure: nothing was started


def run(outputs: StackOutputs, command: Command) -> tuple[str, Exit]:
    """Run one command of app.migrate in a container of its own beside the stack, as an update does.

    Answers what the program said, and DIFFERENT if the schema is not what the code of the declared image
    describes. Raises GadError with the program's words.
    """
    done = _on_engine(outputs, script(outputs, command, random.token_hex(4)))
    if done.returncode in {Exit.OK, Exit.DIFFERENT}:
        return done.stdout.strip(), Exit(done.returncode)
    raise refusal(outputs.stack, done.returncode, done.stderr)


def steps(outputs: StackOutputs, image: str) -> str:
    """All steps of an image as SQL, printed where the stack's engine has it. Raises GadError."""
    done = _on_engine(outputs, shlex.join(docker_sql(image)))
    if done.returncode:
        raise refusal(outputs.stack, done.returncode, done.stderr)
    return done.stdout


def _on_engine(outputs: StackOutputs, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script on the engine's host. Raises GadError if that cannot be reached."""
    if outputs.server is not None:
        connect(outputs.server).close()  # says in one sentence what is wrong, if anything is
    return run_script(outputs.server, script, limit_s=LIMIT_S)


def current(outputs: StackOutputs) -> str:
    """The revision the schema is at; `base` if it is empty. Raises GadError."""
    said, _ = run(outputs, "current")
    found = re.match(r"schema is at (\w+)", said)
    if found is None:
        raise GadError(
            f"the schema of stack {outputs.stack} does not say what it is at: {said}",
            remedy=f"look at `gad status {outputs.stack}`",
        )
    return found[1]


def script(outputs: StackOutputs, command: Command, suffix: str) -> str:
    """For a shell on the engine's host. Pure.

    The newest folder of secrets is the declared one: an update touches it even if it is there already.
    """
    names = Names(stack=outputs.stack, prefix=outputs.prefix)
    words = docker_run(
        name=names.container(f"db-{suffix}"),  # not the update's own name, which an update removes
        network=outputs.networks["data"].name,
        secrets_dir="$secrets",
        labels=names.labels("migration", "personal"),
        envs={"GAD_MIGRATION_URL_FILE": f"{SECRETS}/migration_url"},
        image=outputs.images["app"],
        command=command,
        hosts=outputs.data_hosts,
    )
    of_api = next(m.source for m in outputs.containers[outputs.live].mounts if m.target == SECRETS)
    parent = shlex.quote(str(PurePosixPath(of_api).parents[1] / "migration"))
    line = " ".join(f'"{word}"' if "$secrets" in word else shlex.quote(word) for word in words)
    return f"secrets={parent}/$(ls -1t {parent} | head -n 1)\nexec {line}"


def refusal(stack: str, status: int, said: str) -> GadError:
    """Why it did not work, out of what was said on stderr. Pure."""
    lines = [line for line in said.splitlines() if line.strip()] or ["no reason given"]
    if status == ENGINE_FAILED:
        return GadError(
            f"the schema of stack {stack} cannot be reached: {lines[0].removeprefix('docker: ')}",
            remedy=f"bring the stack up with `gad up {stack}`",
        )
    fact, remedy = own_words(lines)
    return GadError(
        fact or f"the migration ended with status {status}: {lines[-1]}",
        remedy=remedy or f"look at `gad status {stack}`",
        exit_code=Exit.USAGE if status == Exit.USAGE else Exit.FAILED,
    )
