from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import GadError
from infra.toolchain.command.globs import compile_glob, find_files, select

PATHS = ["a.txt", "src/index.js", "src/deep/secret.js", "assets/logos/logo.svg", "a+b.md", "a1.md", "a2.md"]


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["*"], ["a.txt", "a+b.md", "a1.md", "a2.md"]),
        (["**"], PATHS),
        (["src/*.js"], ["src/index.js"]),
        (["src/**.js", "!**secret.*"], ["src/index.js"]),
        (["!**secret.*", "src/**.js"], ["src/index.js", "src/deep/secret.js"]),
        (["a?.md"], ["a1.md", "a2.md"]),
        (["a[2-9].md"], ["a2.md"]),
        (["a[!2-9].md"], ["a1.md"]),
        (["{a+b,a1}.md"], ["a+b.md", "a1.md"]),
        (["assets"], []),
        ([], []),
    ],
)
def test_select(globs: list[str], expected: list[str]) -> None:
    assert select(PATHS, globs) == expected


def test_an_open_brace_is_refused() -> None:
    with pytest.raises(GadError, match="brace"):
        compile_glob("{a,b")


def test_find_files_gives_files_below_the_folder_only(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.txt").touch()
    (tmp_path / "y.txt").touch()
    assert find_files(tmp_path, ["**"]) == ["sub/x.txt", "y.txt"]
