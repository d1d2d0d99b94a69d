"""What a checkout brings to the engine: `.gad/bin` first on PATH, and offline plugins as its plugin cache."""

from __future__ import annotations

import os
import shlex
import shutil
from importlib.metadata import version
from pathlib import Path

from infra.toolchain.choice import Plugins

# Executable the engine looks for → module of ours that serves it.
OFFLINE_PLUGINS = {
    "pulumi-language-python": "infra.toolchain.language_host",
    "pulumi-resource-docker": "infra.toolchain.docker",
    "pulumi-resource-command": "infra.toolchain.command",
}
# An SDK and its plugin are released together, so the installed SDK's version is the plugin's.
SDKS = {
    "pulumi-language-python": "pulumi",
    "pulumi-resource-docker": "pulumi-docker",
    "pulumi-resource-command": "pulumi-command",
}


def bin_folder(root: Path) -> Path:
    """Where the links and shims of the checkout `root` live."""
    return root / ".gad" / "bin"


def offline_home(root: Path) -> Path:
    """The PULUMI_HOME of a checkout with offline plugins; it exists only then.

    In a plugin cache of the checkout's own, not on PATH: there the engine warns of each at every run.
    """
    return root / ".gad" / "pulumi-home"


def plugin_path(home: Path, executable: str) -> Path:
    """Where the engine's plugin cache has a plugin: plugins/KIND-NAME-vVERSION/pulumi-KIND-NAME."""
    kind = executable.removeprefix("pulumi-")
    return home / "plugins" / f"{kind}-v{version(SDKS[executable])}" / executable


def shim_text(root: Path, module: str) -> str:
    """A script that becomes the plugin: `exec`, so that the engine's signals reach it.

    `-P`: the folder it is started in must not shadow our modules.
    """
    checkout = shlex.quote(str(root))
    python = shlex.quote(str(root / ".venv" / "bin" / "python"))
    return (
        "#!/bin/sh\n# Written by `gad setup`.\n"
        f'PYTHONPATH={checkout}"${{PYTHONPATH:+:$PYTHONPATH}}" exec {python} -P -m {module} "$@"\n'
    )


def write_shims(root: Path, engine: Path, plugins: Plugins) -> None:
    """Link the engine and `gad`; add the offline plugins or remove them. Safe while the engine runs."""
    folder = bin_folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    _link(folder / "pulumi", engine)
    _link(folder / "gad", Path("../../bin/gad"))
    home = offline_home(root)
    if plugins is not Plugins.OFFLINE:  # or they would win over the official ones
        shutil.rmtree(home, ignore_errors=True)
        return
    for name, module in OFFLINE_PLUGINS.items():
        shim = plugin_path(home, name)
        shim.parent.mkdir(parents=True, exist_ok=True)
        _script(shim, shim_text(root, module))


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def _script(path: Path, text: str) -> None:
    if path.is_file() and path.read_text() == text and os.access(path, os.X_OK):
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.replace(path)
