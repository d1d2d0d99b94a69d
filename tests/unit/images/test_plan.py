"""Which images a change makes stale, on a copy of the real catalogue and recipes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import GadError
from infra.image_lock import ImageLock, LockedImage
from infra.operate.images.build import possible_hashes, stale
from infra.operate.images.catalogue import load_catalogue
from infra.operate.images.engine import failure
from infra.operate.images.registry import Registry, local_registry

ROOT = Path(__file__).resolve().parents[3]
REGISTRY = Registry(5000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part in ("config/images", "requirements"):
        shutil.copytree(ROOT / part, tmp_path / part)
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.py").write_text("first")
    return tmp_path


def built(root: Path, *, source: int = 0) -> ImageLock:
    """The lock as a complete build would leave it; `source` chooses upstream (0) or bootstrapped (1)."""
    catalogue, lock = load_catalogue(root), ImageLock()
    for number, image in enumerate(catalogue.images.values()):
        parent = lock.get(image.parent) if image.parent else None
        hashes = possible_hashes(catalogue, image, root, parent)
        entry = LockedImage(
            name=image.name,
            digest=f"{REGISTRY.repository(image.name)}@sha256:{number:064x}",
            image_id=f"sha256:{number:064x}",
            input_hash=hashes[source if image.parent is None else 0],
            version="1",
            size_bytes=1,
            own_bytes=1,
            built_at=datetime(2026, 1, 2, tzinfo=UTC),
        )
        lock = lock.with_images([entry])
    return lock


@pytest.mark.parametrize("source", [0, 1], ids=["upstream", "bootstrapped"])
def test_a_complete_build_leaves_nothing_to_do(root: Path, source: int) -> None:
    assert stale(load_catalogue(root), built(root, source=source), root, REGISTRY) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda root: (root / "app/main.py").write_text("second"), ["app"]),
        (lambda root: (root / "requirements/app.txt").write_text(""), ["app"]),
        (lambda root: (root / "requirements/images-caddy.txt").write_text(""), ["caddy"]),
        (lambda root: (root / "config/images/postgres/roles.sql").write_text(""), ["postgres"]),
        (
            lambda root: (root / "config/images/base/gad-probe").write_text(""),
            [name for name in load_catalogue(ROOT).images if name != "lab"],  # not made of our base
        ),
    ],
    ids=["app", "app lock", "caddy lock", "postgres", "base"],
)
def test_a_change_reaches_exactly_what_is_made_of_it(
    root: Path, change: Callable[[Path], object], expected: list[str]
) -> None:
    lock = built(root)
    change(root)
    assert stale(load_catalogue(root), lock, root, REGISTRY) == expected


def test_nothing_built_means_everything_is_stale(root: Path) -> None:
    assert stale(load_catalogue(root), ImageLock(), root, REGISTRY) == list(load_catalogue(root).images)


def test_a_registry_at_another_port_needs_everything_anew(root: Path) -> None:
    assert stale(load_catalogue(root), built(root), root, Registry(5001)) == list(load_catalogue(root).images)


@pytest.mark.parametrize("value", ["", "0", "65536", "http", "-1"])
def test_a_registry_port_that_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GAD_REGISTRY_PORT", value)
    with pytest.raises(GadError, match="GAD_REGISTRY_PORT is"):
        local_registry()


def test_the_registry_port_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAD_REGISTRY_PORT", "5001")
    assert local_registry().repository("app") == "127.0.0.1:5001/gad/app"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("write /x: no space left on device", "no space left on the engine's disk while building app"),
        ("('Connection aborted.', RemoteDisconnected())", "the Docker engine went away while building app"),
        ("first\nthe cause", "building app failed: the cause"),
        ("", "building app failed: no reason given"),
    ],
)
def test_failures_of_the_engine_in_words(reason: str, said: str) -> None:
    assert failure("building app", reason).fact == said
