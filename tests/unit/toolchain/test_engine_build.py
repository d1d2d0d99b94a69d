"""The build with a stand-in for the Go compiler: our decisions, not Go's. The real one is built by set-up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import GadError
from infra.toolchain import build as build_module
from infra.toolchain.build import Recipe, build
from infra.toolchain.engine import CachedEngine
from infra.toolchain.progress import Reporter

ROOT = Path(__file__).resolve().parents[3]
SILENT = Reporter(quiet=True)
VERSION = "1.2.3"
# `go build … -o OUTPUT PACKAGE` writes a "pulumi" that knows its version, and counts its calls.
GO = """#!/bin/sh
if [ "$1" = version ]; then echo "go version ${GO_SAYS:-go1.26.0} linux/amd64"; exit; fi
if [ -n "$GO_FAILS" ]; then echo "$GO_FAILS" >&2; exit 1; fi
while [ "$1" != -o ]; do shift; done
sleep "${GO_TAKES:-0}"
echo built >> "$GO_CALLS"
printf '#!/bin/sh\\necho v%s\\n' "${GO_BUILDS:-1.2.3}" > "$2"
chmod +x "$2"
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the stand-in counts."""
    folder = tmp_path / "go-bin"
    folder.mkdir()
    (folder / "go").write_text(GO)
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GO_CALLS", str(tmp_path / "calls"))
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A module with nothing in it."""
    module = tmp_path / "module"
    module.mkdir()
    for name in ("go.mod", "go.sum", "tools.go"):
        (module / name).touch()
    return Recipe(module, VERSION)


@pytest.fixture
def target(tmp_path: Path, recipe: Recipe) -> CachedEngine:
    """An empty place in a cache."""
    return CachedEngine(tmp_path / "cache" / VERSION, recipe.digest())


def builds(calls: Path) -> int:
    """How often the compiler ran."""
    return len(calls.read_text().splitlines())


def test_built_once_and_then_found(calls: Path, recipe: Recipe, target: CachedEngine) -> None:
    assert build(recipe, target, SILENT) == target.executable
    assert target.is_intact()
    build(recipe, target, SILENT)
    assert builds(calls) == 1


@pytest.mark.parametrize("damage", ["truncate", "replace", "remove", "no manifest", "bad manifest"])
def test_a_damaged_engine_is_built_again(
    calls: Path, recipe: Recipe, target: CachedEngine, damage: str
) -> None:
    build(recipe, target, SILENT)
    size = target.executable.stat().st_size
    {
        "truncate": lambda: os.truncate(target.executable, size // 2),
        "replace": lambda: target.executable.write_bytes(b"x" * size),  # same size, another content
        "remove": target.executable.unlink,
        "no manifest": (target.directory / "engine.json").unlink,
        "bad manifest": lambda: (target.directory / "engine.json").write_text("{"),
    }[damage]()
    assert not target.is_intact()
    build(recipe, target, SILENT)
    assert target.is_intact()
    assert builds(calls) == 2


def test_a_truncated_engine_is_noticed_even_with_its_old_time(
    calls: Path, recipe: Recipe, target: CachedEngine
) -> None:
    build(recipe, target, SILENT)
    stat = target.executable.stat()
    os.truncate(target.executable, 1)
    os.utime(target.executable, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not target.is_intact()


def test_an_untouched_copy_is_still_intact(calls: Path, recipe: Recipe, target: CachedEngine) -> None:
    build(recipe, target, SILENT)
    os.utime(target.executable, (1, 1))  # a restored backup: other times, same content
    assert target.is_intact()


def test_another_go_sum_is_another_engine(calls: Path, recipe: Recipe, target: CachedEngine) -> None:
    build(recipe, target, SILENT)
    (recipe.module / "go.sum").write_text("example.org/module v1.0.0 h1:abc=\n")
    assert not CachedEngine(target.directory, recipe.digest()).is_intact()


def test_two_at_once_build_once(
    calls: Path, recipe: Recipe, target: CachedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO_TAKES", "0.5")
    program = (
        "import sys; from pathlib import Path\n"
        "from infra.toolchain.build import Recipe, build; from infra.toolchain.engine import CachedEngine\n"
        "from infra.toolchain.progress import Reporter\n"
        "recipe = Recipe(Path(sys.argv[1]), sys.argv[2])\n"
        "target = CachedEngine(Path(sys.argv[3]), recipe.digest())\n"
        "print(build(recipe, target, Reporter(quiet=True)))\n"
    )
    argv = [sys.executable, "-c", program, str(recipe.module), VERSION, str(target.directory)]
    pair = [subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in pair] == [str(target.executable)] * 2
    assert builds(calls) == 1


def test_a_failed_build_tells_the_compilers_words_and_leaves_nothing(
    calls: Path, recipe: Recipe, target: CachedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO_FAILS", "dial tcp: lookup proxy: no such host")
    with pytest.raises(GadError, match="no such host") as caught:
        build(recipe, target, SILENT)
    assert "GOPROXY" in caught.value.remedy
    assert [path.name for path in target.directory.parent.iterdir()] == [target.lock.name]


def test_another_version_than_asked_is_refused(
    calls: Path, recipe: Recipe, target: CachedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO_BUILDS", "9.9.9")
    with pytest.raises(GadError, match=r"calls itself 9\.9\.9, required is 1\.2\.3"):
        build(recipe, target, SILENT)
    assert not target.is_intact()


def test_a_go_that_cannot_fetch_toolchains_is_named(
    calls: Path, recipe: Recipe, target: CachedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO_SAYS", "go1.19.8")
    with pytest.raises(GadError, match=r"too old to build the Pulumi engine \(go version go1\.19\.8"):
        build(recipe, target, SILENT)


def test_a_full_disk_is_named_before_the_build(
    calls: Path, recipe: Recipe, target: CachedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "_NEEDED_BYTES", 10**18)
    with pytest.raises(GadError, match="GB free, the build needs"):
        build(recipe, target, SILENT)
    assert builds(calls) == 0
