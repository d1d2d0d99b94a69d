"""The pinned Pulumi release: its version and the SHA-256 of its archives, read from config/engine."""

from __future__ import annotations

import platform
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import Exit, GadError

Sha256 = str
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


class Release(BaseModel):
    """`archives` maps a platform (`linux-x64`) to the SHA-256 of Pulumi's release archive.

    Source of the sums: a public lock file for this version, not Pulumi's own list (it cannot be reached from
    where they were written down). A wrong sum can only refuse a good archive, never let a bad one through.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    archives: dict[str, Sha256]

    def archive_url(self, target: str) -> str:
        """Where Pulumi publishes the archive of one platform."""
        return f"https://{RELEASE_HOST}/releases/sdk/pulumi-v{self.version}-{target}.tar.gz"


RELEASE_HOST = "get.pulumi.com"


class DownloadRefusedError(Exception):
    """The network does not let us have something; the caller has another way."""


def this_platform() -> str:
    """`linux-x64`, `darwin-arm64`, …; an unknown machine keeps its own name and so has no pin."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"


def load_release(root: Path) -> Release:
    """Read `config/engine/release.json` of the checkout. Raises GadError when it does not parse."""
    path = root / "config" / "engine" / "release.json"
    try:
        return Release.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise GadError(
            f"config/engine/release.json cannot be used: {str(error).splitlines()[0]}",
            remedy="git checkout config/engine/release.json",
            exit_code=Exit.USAGE,
        ) from error
