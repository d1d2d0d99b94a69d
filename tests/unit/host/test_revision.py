"""The name of what a deploy is made of changes with each part of it, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.host.revision import revision

FILES = {
    "config/controls.yaml": "controls: []\n",
    "infra/host/a.py": "A = 1\n",
    "infra/host/t/b.py": "B = 2\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_each_file_counts(root: Path, name: str) -> None:
    before = revision(root, "")
    (root / name).write_text(FILES[name] + "# another\n")
    assert revision(root, "") != before


def test_the_name_of_a_file_and_what_is_told_count(root: Path) -> None:
    before = revision(root, "")
    assert revision(root, "port 22") != before
    (root / "infra/host/a.py").rename(root / "infra/host/c.py")
    assert revision(root, "") != before


def test_what_is_no_part_does_not_count(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = revision(root, "")
    (root / "infra/host/a.pyc").write_text("compiled")
    (root / "infra/other.py").write_text("C = 3\n")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "checkout"
    root.rename(elsewhere)
    assert revision(elsewhere, "") == before
