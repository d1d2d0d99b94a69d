"""The names of the tests are the same in every process: pytest-xdist runs nothing when workers disagree."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def collected(seed: int) -> list[str]:
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
    )
    assert told.returncode == 0, told.stdout[-2000:]
    return [line for line in told.stdout.splitlines() if "::" in line]


def test_two_processes_name_the_same_tests() -> None:
    # One after the other: a second apart, beside another hash seed and other random values.
    names = collected(1)
    assert len(names) > 1000
    assert names == collected(2)
