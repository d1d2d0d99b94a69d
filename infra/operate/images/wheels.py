"""Wheels for an image: fetched on the host by hash, for the image's Python, and kept in the cache folder."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from infra.errors import GadError
from infra.operate.images.catalogue import Wheels
from infra.operate.images.inputs import InputFile
from infra.toolchain.cache import cache_root, locked

PYTHON = "3.13"  # Debian 13's


def fetch(wheels: Wheels, root: Path, step: Callable[[str], None]) -> list[InputFile]:
    """The files of `wheels/` in the build context. Downloads once per content of the lock.

    `step` is told what takes time. Raises GadError if a wheel cannot be had or does not match its hash.
    """
    lock = root / wheels.lock
    key = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    house = cache_root() / "wheels" / f"{lock.stem}-{key}-cp{PYTHON.replace('.', '')}"
    with locked(house.with_suffix(".lock"), lambda: step("waiting for another download")):
        if not house.exists():
            step(f"fetching the wheels of {wheels.lock}")
            _download(lock, house)
        if wheels.unpack and not (house / "programs").exists():
            _unpack(house)
    source = house / "programs" if wheels.unpack else house
    files = [path for path in sorted(source.iterdir()) if path.is_file()]
    return [InputFile(PurePosixPath("wheels") / path.name, path) for path in files]


def _download(lock: Path, house: Path) -> None:
    staged = house.with_name(f"{house.name}.new")  # ours alone: the caller holds the lock
    shutil.rmtree(staged, ignore_errors=True)
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--only-binary=:all:", "--python-version", PYTHON, "--require-hashes"),
        *("--dest", str(staged), "--requirement", str(lock)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(staged, ignore_errors=True)
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise GadError(
            f"the wheels of {lock.parent.name}/{lock.name} cannot be fetched: "
            f"{errors[-1].removeprefix('ERROR: ') if errors else done.stderr.strip()[-300:]}",
            remedy="check that the Python package registry is reachable, then build again",
        )
    staged.rename(house)


def _unpack(house: Path) -> None:
    staged = house / "programs.new"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    for wheel in sorted(house.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                parts = PurePosixPath(name).parts
                if len(parts) == 3 and parts[0].endswith(".data") and parts[1] == "scripts":
                    program = staged / parts[2]
                    with archive.open(name) as packed, program.open("wb") as unpacked:
                        shutil.copyfileobj(packed, unpacked)
                    program.chmod(0o755)
    staged.rename(house / "programs")
