"""Which Python runs a program or a plugin: the `runtime.options` of Pulumi.yaml decide."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from infra.errors import Exit, GadError

# Where a virtual environment keeps its Python (PEP 405, POSIX layout).
VENV_PYTHON = Path("bin") / "python"


def find_interpreter(root: Path, options: Mapping[str, object]) -> Path:
    """The Python for a project at `root` with the given runtime options.

    `virtualenv` is a folder, relative to `root` or absolute; without it, the Python that runs this process.
    Raises GadError for an environment that does not exist and for options that only the official host knows.
    """
    for name in sorted(set(options) - {"virtualenv", "toolchain"}):
        raise GadError(
            f"runtime option {name} is not supported by the offline language host",
            remedy=f"remove it from {root / 'Pulumi.yaml'}, or set GAD_TOOLCHAIN=official",
            exit_code=Exit.USAGE,
        )
    toolchain = options.get("toolchain", "pip")
    if toolchain != "pip":
        raise GadError(
            f"runtime option toolchain is {toolchain!r}; the offline language host knows only 'pip'",
            remedy=f"remove runtime.options.toolchain from {root / 'Pulumi.yaml'}",
            exit_code=Exit.USAGE,
        )
    virtualenv = options.get("virtualenv")
    if not virtualenv:
        return Path(sys.executable)
    # Not resolved: the link itself is what makes Python use the environment's packages.
    python = root / str(virtualenv) / VENV_PYTHON
    if not python.exists():
        raise GadError(
            f"{python} does not exist, but runtime.options.virtualenv names {virtualenv}",
            remedy="run `make setup`, which creates the environment",
            exit_code=Exit.USAGE,
        )
    return python
