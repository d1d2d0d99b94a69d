"""`command:local:Command`: a command on the machine that runs the deployment."""

from __future__ import annotations

import hashlib
from pathlib import Path

from infra.toolchain.command import tables
from infra.toolchain.command.base import CommandResource, is_withheld, mask_for, shown
from infra.toolchain.command.capture import Capture
from infra.toolchain.command.globs import find_files
from infra.toolchain.command.model import LocalInputs
from infra.toolchain.command.process import run_process
from infra.toolchain.plugin import Archive, Asset, Call, Properties

DEFAULT_INTERPRETER = ("/bin/sh", "-c")


class LocalCommand(CommandResource):
    """Runs them on this machine."""

    schema = tables.LOCAL
    model = LocalInputs

    def run(self, call: Call, inputs: Properties, command: str | None, last: Properties) -> Properties:
        """Run `command` and return the new state; without one, the outputs of the last run stay."""
        given = LocalInputs.of(inputs)
        if command is None:
            kept: Properties = {key: value for key, value in last.items() if key in ("assets", "archive")}
            return {**inputs, "stdout": last.get("stdout", ""), "stderr": last.get("stderr", ""), **kept}
        folder = Path(given.dir) if given.dir is not None else Path.cwd()
        capture = Capture(
            lambda line: call.log("status", line), shown(call, given.logging), mask_for(call, inputs)
        )
        failure = run_process(
            [*(given.interpreter or DEFAULT_INTERPRETER), command],
            folder=folder,
            environment={**given.environment, **given.variables(last)},
            stdin=given.stdin,
            capture=capture,
            cancelled=call.cancelled,
            timeout_s=call.timeout_s,
        )
        if failure is not None:
            raise capture.failure(failure, command, withheld=is_withheld(call))
        return {**inputs, **capture.outputs(), **_files(folder, given)}


def _files(folder: Path, given: LocalInputs) -> Properties:
    """`assets` and `archive`, when they were asked for."""
    found: Properties = {}
    if given.asset_paths is not None:
        found["assets"] = {path: _asset(folder, path) for path in find_files(folder, given.asset_paths)}
    if given.archive_paths is not None:
        members = {path: _asset(folder, path) for path in find_files(folder, given.archive_paths)}
        found["archive"] = Archive(assets=members, hash=_archive_hash(members))
    return found


def _asset(folder: Path, path: str) -> Asset:
    file = folder / path
    with file.open("rb") as content:
        return Asset(path=str(file), hash=hashlib.file_digest(content, "sha256").hexdigest())


def _archive_hash(members: dict[str, Asset]) -> str:
    """A digest of names and contents: all that the engine needs is that it changes when they do."""
    listing = "".join(f"{path}\0{asset.hash}\n" for path, asset in members.items())
    return hashlib.sha256(listing.encode()).hexdigest()
