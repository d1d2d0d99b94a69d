"""Pulumi's official provider plugins: which ones the installed SDKs need, and getting them."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

from infra.toolchain.progress import Reporter
from infra.toolchain.release import DownloadRefusedError

_SDKS = {"docker": "pulumi-docker", "command": "pulumi-command"}


def required_plugins() -> dict[str, str]:
    """Provider → version. An SDK and its plugin are released together, so the SDK's version is the pin."""
    return {provider: version(sdk) for provider, sdk in _SDKS.items()}


def are_installed(pulumi_home: Path) -> bool:
    """Pulumi unpacks a plugin beside a `.lock` and removes a `.partial` mark when it is complete."""
    folder = pulumi_home / "plugins"
    names = [f"resource-{provider}-v{number}" for provider, number in required_plugins().items()]
    return all((folder / n).is_dir() and not (folder / f"{n}.partial").exists() for n in names)


def install(engine: Path, env: dict[str, str], reporter: Reporter) -> None:
    """Let the engine download what is missing. Raises DownloadRefusedError with its last words."""
    with reporter.steps("downloading Pulumi's provider plugins", len(_SDKS)) as advance:
        for provider, number in required_plugins().items():
            argv = [str(engine), "plugin", "install", "resource", provider, number]
            done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
            if done.returncode:
                words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise DownloadRefusedError(f"the plugin {provider} {number} cannot be downloaded ({words})")
            advance(provider)
