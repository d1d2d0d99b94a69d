from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.toolchain.choice import Plugins
from infra.toolchain.shims import OFFLINE_PLUGINS, bin_folder, offline_home, plugin_path, write_shims


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a folder that needs quoting, whose venv is this very Python."""
    root = tmp_path / "mi carpeta"
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (root / "bin").mkdir()
    (root / "bin" / "gad").write_text("#!/bin/sh\n")
    return root


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """Something to link to."""
    path = tmp_path / "pulumi"
    path.write_text("#!/bin/sh\necho v1.2.3\n")
    path.chmod(0o755)
    return path


def names(checkout: Path) -> list[str]:
    """What is in `.gad/bin`."""
    return sorted(path.name for path in bin_folder(checkout).iterdir())


def plugins(checkout: Path) -> list[str]:
    """Executables of the plugin cache, each in the folder that the engine looks into."""
    found = sorted(offline_home(checkout).glob("plugins/*/*"))
    assert found == sorted(plugin_path(offline_home(checkout), path.name) for path in found)
    return sorted(path.name for path in found)


def test_offline_has_the_engine_gad_and_every_plugin(checkout: Path, engine: Path) -> None:
    write_shims(checkout, engine, Plugins.OFFLINE)
    assert names(checkout) == ["gad", "pulumi"]
    assert plugins(checkout) == sorted(OFFLINE_PLUGINS)
    assert (bin_folder(checkout) / "pulumi").readlink() == engine
    assert (bin_folder(checkout) / "gad").resolve() == (checkout / "bin" / "gad").resolve()


def test_official_removes_the_offline_plugins(checkout: Path, engine: Path) -> None:
    write_shims(checkout, engine, Plugins.OFFLINE)
    write_shims(checkout, engine, Plugins.OFFICIAL)
    assert names(checkout) == ["gad", "pulumi"]
    assert not offline_home(checkout).exists()


def test_a_shim_becomes_the_module_with_its_arguments(
    checkout: Path, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = checkout / "infra" / "toolchain"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package.parent / "__init__.py").touch()
    (package / "docker.py").write_text("import os, sys; print(os.getpid(), *sys.argv[1:], sep='|')")
    write_shims(checkout, engine, Plugins.OFFLINE)
    shim = subprocess.Popen(
        [plugin_path(offline_home(checkout), "pulumi-resource-docker"), "a b", "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath, "PYTHONPATH": ""},
    )
    # The same process: the engine's signals reach the plugin, and no shell stays between them.
    assert shim.communicate()[0].strip() == f"{shim.pid}|a b|127.0.0.1:1"


def test_a_second_run_rewrites_nothing(checkout: Path, engine: Path) -> None:
    write_shims(checkout, engine, Plugins.OFFLINE)
    before = {path: path.lstat().st_mtime_ns for path in (checkout / ".gad").rglob("*")}
    write_shims(checkout, engine, Plugins.OFFLINE)
    assert {path: path.lstat().st_mtime_ns for path in (checkout / ".gad").rglob("*")} == before


def test_a_link_to_an_engine_that_went_away_is_replaced(checkout: Path, engine: Path, tmp_path: Path) -> None:
    write_shims(checkout, tmp_path / "gone", Plugins.OFFLINE)
    write_shims(checkout, engine, Plugins.OFFLINE)
    assert (bin_folder(checkout) / "pulumi").readlink() == engine


def test_every_shim_names_a_module_that_exists() -> None:
    root = Path(__file__).resolve().parents[3]
    stems = [root / module.replace(".", "/") for module in OFFLINE_PLUGINS.values()]
    there = [s for s in stems if s.with_suffix(".py").is_file() or (s / "__main__.py").is_file()]
    assert there == stems
