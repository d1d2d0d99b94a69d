"""bin/bootstrap.py, which runs before anything is installed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bootstrap(tmp_path: Path) -> ModuleType:
    """The script as it would be in a fresh checkout."""
    for name in ("bin/bootstrap.py", "requirements/dev.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    spec = importlib.util.spec_from_file_location("bootstrap", tmp_path / "bin" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_uv_is_installed_by_the_hashes_of_the_lock(bootstrap: ModuleType) -> None:
    lines = bootstrap.pinned_uv().splitlines()
    assert re.fullmatch(r"uv==\d+\.\d+\.\d+ \\", lines[0])
    assert [line for line in lines[1:] if not line.strip().startswith("--hash=sha256:")] == []
    assert not lines[-1].endswith("\\")


def test_nothing_is_done_while_the_lock_is_the_same(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []

    def install(wanted: str) -> None:
        installed.append(wanted)
        (bootstrap.VENV / "bin").mkdir(parents=True, exist_ok=True)
        (bootstrap.VENV / "bin" / "python").touch()
        bootstrap.STAMP.write_text(wanted)

    monkeypatch.setattr(bootstrap, "install", install)
    bootstrap.main()
    bootstrap.main()
    assert len(installed) == 1
    with bootstrap.LOCK.open("a") as lock:
        lock.write("# changed\n")
    bootstrap.main()
    assert len(set(installed)) == 2


def test_a_venv_that_was_moved_is_no_venv(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    venv.create(bootstrap.VENV, symlinks=True, with_pip=False)
    (bootstrap.VENV / "lib").joinpath(
        f"python3.{sys.version_info.minor}", "site-packages", "pip.py"
    ).touch()  # a real pip takes seconds to unpack
    assert bootstrap.venv_works()
    moved = bootstrap.VENV.with_name(".venv-moved")
    bootstrap.VENV.rename(moved)
    monkeypatch.setattr(bootstrap, "VENV", moved)
    assert not bootstrap.venv_works()


def test_a_python_without_venv_names_the_package(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as caught:
        bootstrap.require_venv_module()
    package = f"python3.{sys.version_info.minor}-venv"
    assert caught.value.code == (
        f"error: this Python has no venv module\nremedy: sudo apt-get install {package}"
    )


def test_an_old_python_is_told_at_once(tmp_path: Path) -> None:
    program = (
        "import runpy, sys; sys.version_info = (3, 9, 2)\n"
        f"runpy.run_path({str(ROOT / 'bin' / 'bootstrap.py')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[1] == "remedy: make PYTHON=python3.11 (or newer)"
