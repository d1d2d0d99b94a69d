"""The names of the tests are the same in every process: pytest-xdist runs nothing when workers disagree."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def collected(checkout: Path, seed: int) -> list[str]:
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"],
        check=False,
        cwd=checkout,
        # Without PYTEST_ADDOPTS: one more -v would print the names in another form.
        env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
    )
    assert told.returncode == 0, told.stdout[-2000:]
    return [line for line in told.stdout.splitlines() if "::" in line]


def as_cloned(checkout: Path) -> Path:
    """A copy of what Git keeps, or would: no image was built there, no stack made."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    for name in filter(None, names.split("\0")):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, checkout / name, follow_symlinks=False)
    subprocess.run(["git", "init", "-q"], check=True, cwd=checkout)  # tests ask it for the files there are
    return checkout


def test_two_processes_name_the_same_tests(tmp_path: Path) -> None:
    # One after the other: a second apart, beside another hash seed, other random values, and nothing built.
    names = collected(ROOT, 1)
    assert len(names) > 1000
    assert names == collected(as_cloned(tmp_path), 2)
