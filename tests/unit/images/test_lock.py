from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import GadError
from infra.image_lock import FILE, ImageLock, LockedImage, read_lock, write_lock


def locked(name: str, *, sha: str = "a") -> LockedImage:
    return LockedImage(
        name=name,
        digest=f"127.0.0.1:5000/gad/{name}@sha256:{sha * 64}",
        image_id=f"sha256:{sha * 64}",
        input_hash="0" * 64,
        version="1",
        size_bytes=2,
        own_bytes=1,
        built_at=datetime(2026, 1, 2, tzinfo=UTC),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    lock = ImageLock(images=(locked("app"), locked("redis")))
    write_lock(tmp_path, lock)
    assert read_lock(tmp_path) == lock


def test_nothing_but_the_lock_is_left_behind(tmp_path: Path) -> None:
    write_lock(tmp_path, ImageLock(images=(locked("app"),)))
    assert [path.name for path in (tmp_path / FILE).parent.iterdir()] == [FILE.name]


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert read_lock(tmp_path) == ImageLock()


def test_new_entries_replace_those_of_the_same_name() -> None:
    lock = ImageLock(images=(locked("app"), locked("redis"))).with_images(
        [locked("redis", sha="b"), locked("base")]
    )
    assert [image.name for image in lock.images] == ["app", "base", "redis"]
    assert lock.require("redis") == locked("redis", sha="b")


def test_an_image_never_built_is_named_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(GadError, match="image caddy was not built") as caught:
        read_lock(tmp_path).require("caddy")
    assert "gad images build caddy" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "{", '{"images": [{"name": "app"}]}', '{"pictures": []}'])
def test_a_damaged_lock_is_said(tmp_path: Path, text: str) -> None:
    write_lock(tmp_path, ImageLock())
    (tmp_path / FILE).write_text(text)
    with pytest.raises(GadError, match=r"images\.lock\.json is damaged"):
        read_lock(tmp_path)


def test_a_tag_is_no_digest() -> None:
    with pytest.raises(ValueError, match="digest"):
        LockedImage.model_validate({**locked("app").model_dump(), "digest": "127.0.0.1:5000/gad/app:latest"})
