"""The Pulumi engine: found on PATH, or kept intact in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError


class Manifest(BaseModel):
    """Written beside a cached engine when it is complete. `inputs` says what it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    inputs: str
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, executable: Path, inputs: str) -> Manifest:
        """Describe a complete executable. Raises OSError."""
        stat = executable.stat()
        return cls(
            sha256=sha256_of(executable), inputs=inputs, size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns
        )


@dataclass(frozen=True)
class CachedEngine:
    """One folder of the cache. It counts only while the manifest matches what lies beside it."""

    directory: Path
    inputs: str

    @property
    def executable(self) -> Path:
        """The `pulumi` of this folder."""
        return self.directory / "pulumi"

    @property
    def lock(self) -> Path:
        """Beside the folder, so that the folder itself can be replaced."""
        return self.directory.with_name(f"{self.directory.name}.lock")

    def is_intact(self) -> bool:
        """A truncated or replaced engine fails in strange ways later, so every set-up asks.

        Size and time first; the hash (0.5 s for 115 MB) only where the time says that somebody touched it.
        """
        try:
            manifest = Manifest.model_validate_json((self.directory / "engine.json").read_bytes())
            stat = self.executable.stat()
            untouched = stat.st_mtime_ns == manifest.mtime_ns
            return (
                manifest.inputs == self.inputs
                and stat.st_size == manifest.size_bytes
                and (untouched or sha256_of(self.executable) == manifest.sha256)
            )
        except (OSError, ValidationError):
            return False

    def adopt(self, complete: Path) -> None:
        """Move the finished folder `complete` (same file system) into place; the manifest goes in last."""
        manifest = Manifest.of(complete / "pulumi", self.inputs)
        (complete / "engine.json").write_text(manifest.model_dump_json())
        # A folder cannot be replaced in one step; whoever looks in between finds it not intact and waits
        # for the lock that we hold.
        shutil.rmtree(self.directory, ignore_errors=True)
        complete.rename(self.directory)


def sha256_of(path: Path) -> str:
    """Hex digest of a file of any size. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_on_path(path: str, *, exclude: Path) -> Path | None:
    """The first `pulumi` on `path` that is not our own link in `exclude`."""
    folders = [
        folder for folder in path.split(os.pathsep) if folder and Path(folder).resolve() != exclude.resolve()
    ]
    found = shutil.which("pulumi", path=os.pathsep.join(folders))
    return Path(found).resolve() if found else None


def version_of(executable: Path) -> str | None:
    """What `pulumi version` says, without the `v`; None when it cannot be run."""
    quiet = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        done = subprocess.run(
            [executable, "version"], capture_output=True, text=True, timeout=30, check=True, env=quiet
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().removeprefix("v")
