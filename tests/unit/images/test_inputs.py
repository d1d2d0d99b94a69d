from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.errors import GadError
from infra.operate.images.catalogue import Image, Wheels
from infra.operate.images.inputs import context_files, input_hash, write_context

IMAGE = Image(
    name="app",
    group="core",
    version="1",
    uid=10073,
    context=(Path("app"),),
    wheels=Wheels(lock=Path("requirements/app.txt")),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "config/images/app/Dockerfile": "FROM x",
        "config/images/app/health.py": "health",
        "app/main.py": "main",
        "app/officer/routes.py": "routes",
        "requirements/app.txt": "fastapi==1",
        "README.md": "not an input",
        ".dockerignore": "# caches\n**/__pycache__\n**/*.pyc\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def hash_of(root: Path, parent: str = "sha256:p") -> str:
    return input_hash(context_files(IMAGE, root), parent)


def archive_of(root: Path) -> bytes:
    target = io.BytesIO()
    write_context(context_files(IMAGE, root), target)
    return target.getvalue()


def test_own_files_stand_at_the_top_and_others_under_their_path(root: Path) -> None:
    assert [str(file.name) for file in context_files(IMAGE, root)] == [
        "Dockerfile",
        "app/main.py",
        "app/officer/routes.py",
        "health.py",
        "requirements/app.txt",
    ]


def test_the_archive_holds_exactly_these_files(root: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive_of(root))) as archive:
        assert archive.getnames() == [str(file.name) for file in context_files(IMAGE, root)]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "app/main.py").write_text("main!"),
        lambda root: (root / "app/main.py").rename(root / "app/other.py"),
        lambda root: (root / "app/main.py").chmod(0o755),
        lambda root: (root / "app/new.py").write_text(""),
        lambda root: (root / "config/images/app/Dockerfile").write_text("FROM y"),
        lambda root: (root / "requirements/app.txt").write_text("fastapi==2"),
    ],
    ids=["content", "name", "mode", "new file", "recipe", "lock"],
)
def test_what_changes_the_image_changes_the_hash(root: Path, change: Callable[[Path], object]) -> None:
    before = hash_of(root)
    change(root)
    assert hash_of(root) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: os.utime(root / "app/main.py", (0, 0)),
        lambda root: (root / "app/main.py").chmod(0o600),
        lambda root: (root / "README.md").write_text("other"),
        lambda root: (root / "app/main.pyc").write_text("bytecode"),
        lambda root: (
            (root / "app/officer/__pycache__").mkdir() or (root / "app/officer/__pycache__/x").touch()
        ),
    ],
    ids=["time", "umask", "not an input", "bytecode", "cache folder"],
)
def test_what_does_not_change_the_image_changes_nothing(root: Path, change: Callable[[Path], object]) -> None:
    before = hash_of(root), archive_of(root)
    change(root)
    assert (hash_of(root), archive_of(root)) == before


def test_another_parent_is_another_image(root: Path) -> None:
    assert hash_of(root, "sha256:p") != hash_of(root, "sha256:q")


def test_a_path_that_does_not_exist_is_named(root: Path) -> None:
    (root / "requirements/app.txt").unlink()
    with pytest.raises(GadError, match=r"image app is built from app\.txt, which does not exist"):
        context_files(IMAGE, root)
