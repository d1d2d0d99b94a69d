#!/usr/bin/env python3
"""From a bare Python to `.venv` with exactly what requirements/dev.txt locks. Standard library only.

Does nothing (some milliseconds) when the lock has not changed since the last complete run.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells the owner of an older one
    sys.exit(f"error: {sys.executable} is older than 3.11\nremedy: make PYTHON=python3.11 (or newer)")

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "dev.txt"
VENV = ROOT / ".venv"
STAMP = VENV / "locked.sha256"  # written last: an interrupted install starts again


def fail(fact: str, remedy: str) -> None:
    """Say what is wrong and what to do, in the form of every other command."""
    sys.exit(f"error: {fact}\nremedy: {remedy}")


def run(*argv: object, stdin: str | None = None) -> None:
    """Run a step; its own last words are the best explanation we have."""
    done = subprocess.run([str(a) for a in argv], input=stdin, text=True, cwd=ROOT, check=False)
    if done.returncode:
        fail(
            f"`{Path(str(argv[0])).name} {' '.join(str(a) for a in argv[1:4])} …` failed (see above)",
            "check that the Python package registry is reachable, then run the same command again",
        )


def require_venv_module() -> None:
    """Debian ships Python without `venv`; as root on Debian we may add it ourselves."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        fail("this Python has no venv module", f"sudo apt-get install {package}")
    print(f"· installing {package}", file=sys.stderr)
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", package)


def pinned_uv() -> str:
    """The lines of the lock that name uv and its hashes: one pin, one place."""
    lines = LOCK.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("uv=="))
    end = next(i for i in range(start, len(lines)) if not lines[i].endswith("\\"))
    return "\n".join(lines[start : end + 1]) + "\n"


def venv_works() -> bool:
    """False after the checkout was moved (its scripts name the old place) or its Python upgraded away."""
    python, made_by = VENV / "bin" / "python", VENV / "pyvenv.cfg"
    if not made_by.exists() or str(VENV) not in made_by.read_text():
        return False
    return subprocess.run([python, "-c", "import pip"], check=False, capture_output=True).returncode == 0


def install(wanted: str) -> None:
    """Create or repair `.venv`, then install exactly the lock."""
    if not venv_works():
        require_venv_module()
        print("· creating .venv", file=sys.stderr)
        run(sys.executable, "-m", "venv", "--clear", VENV)
    if not (VENV / "bin" / "uv").exists():
        run(
            VENV / "bin" / "python",
            "-m",
            "pip",
            "install",
            "-q",
            "--require-hashes",
            "-r",
            "/dev/stdin",
            stdin=pinned_uv(),
        )
    print("· installing requirements/dev.txt", file=sys.stderr)
    run(
        VENV / "bin" / "uv",
        "pip",
        "sync",
        "-q",
        "--require-hashes",
        "--python",
        VENV / "bin" / "python",
        LOCK,
    )
    # The Pulumi program is started by language hosts that know the venv but not the checkout.
    for site in (VENV / "lib").glob("python3.*/site-packages"):
        (site / "grupo_gad.pth").write_text(f"{ROOT}\n")
    STAMP.write_text(wanted)


def main() -> None:
    """Under a lock: two terminals may type `make up` at once."""
    (ROOT / ".gad").mkdir(exist_ok=True)
    wanted = hashlib.sha256(LOCK.read_bytes() + str(ROOT).encode()).hexdigest()
    with (ROOT / ".gad" / "bootstrap.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if STAMP.exists() and STAMP.read_text() == wanted and (VENV / "bin" / "python").exists():
            return
        with contextlib.suppress(FileNotFoundError):
            STAMP.unlink()
        install(wanted)


if __name__ == "__main__":
    main()
