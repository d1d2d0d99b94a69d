"""Run a Pulumi program in this process, connected to the engine.

Started by the language host by file path, with the program's own Python, so it imports nothing of ours:
only the SDK is certain to be there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, runtime_checkable

import pulumi
import pulumi.runtime

# Exit code that tells the language host the user has already read the message (the SDK's own convention).
EXPLAINED = 32
# Threads per unit of the engine's parallelism (the SDK's own runner uses the same).
THREADS_PER_OPERATION = 4


@runtime_checkable
class Expected(Protocol):
    """A failure with a fact and a remedy, such as our GadError: told in one message, without a traceback."""

    fact: str
    remedy: str


def describe_failure(error: BaseException, program: Path) -> str:
    """What the user reads when the program raised `error`.

    An expected failure speaks for itself; anything else is a bug and keeps its traceback, from the first
    frame below `program` on.
    """
    if isinstance(error, pulumi.RunError | Expected):
        return str(error)
    own = program.resolve()
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    # Frames without a file ("<frozen runpy>") look like relative paths and are never the user's.
    first = next((i for i, file in enumerate(files) if file.is_absolute() and file.is_relative_to(own)), 0)
    lines = traceback.format_exception(type(error), error, error.__traceback__, limit=first - len(files))
    return "Program failed with an unhandled exception:\n" + "".join(lines)


def _report(message: str) -> None:
    """Tell the engine; when it is gone, standard error is all that is left."""
    try:
        pulumi.log.error(message)
    except Exception:
        sys.stderr.write(f"error: {message}\n")


def run_program(program: Path, settings: pulumi.runtime.Settings) -> int:
    """Run `program` (a file, or a folder with `__main__.py`) and return the process's exit code."""
    if program.is_dir() and not (program / "__main__.py").is_file():
        _report(f"unable to find the main Python program __main__.py in {program}")
        return EXPLAINED
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    parallel = max(settings.parallel or 1, 1)
    # The engine's "unlimited" is the largest 32-bit number; threads are made on demand anyway.
    executor = ThreadPoolExecutor(max_workers=parallel * THREADS_PER_OPERATION)
    loop.set_default_executor(executor)
    # A failed program leaves futures nobody awaits; asyncio's complaints would bury the message.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    def run() -> None:
        runpy.run_path(str(program), run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(run))
    except Exception as error:
        _report(describe_failure(error, program))
        return EXPLAINED
    finally:
        executor.shutdown(wait=True)
        loop.close()
    return 0


def _read_config() -> None:
    """Take configuration from standard input: the environment of a process is open to others."""
    sent = json.load(sys.stdin)
    pulumi.runtime.set_all_config(sent["config"], sent["secret_keys"])
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())


def main() -> int:
    """Parse what the language host says, configure the SDK and run the program."""
    parser = argparse.ArgumentParser(description="Run a Pulumi program")
    for flag in ("project", "stack", "organization", "root_directory", "monitor", "engine", "pwd"):
        parser.add_argument(f"--{flag}", required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--dry_run", choices=("true", "false"), required=True)
    parser.add_argument("program", type=Path)
    parser.add_argument("args", nargs="*")
    given = parser.parse_args()
    _read_config()
    settings = pulumi.runtime.Settings(
        monitor=given.monitor,
        engine=given.engine,
        project=given.project,
        stack=given.stack,
        parallel=given.parallel,
        dry_run=given.dry_run == "true",
        organization=given.organization,
        root_directory=given.root_directory,
    )
    pulumi.runtime.configure(settings)
    sys.argv = [str(given.program), *given.args]
    with contextlib.chdir(given.pwd):
        return run_program(given.program.absolute(), settings)


if __name__ == "__main__":
    sys.exit(main())
