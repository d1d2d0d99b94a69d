from __future__ import annotations

from pathlib import Path

import pytest

from app.rotation import Rotation


def test_without_a_file_every_slot_is_in() -> None:
    assert Rotation(None, None).is_in()
    assert Rotation(None, "blue").is_in()


@pytest.mark.parametrize(
    ("contents", "answers"),
    [
        ([None], [False]),
        (["blue"], [True]),
        (["green"], [False]),
        (["blue", None, "", "Blue!", b"\xff\xfe"], [True] * 5),
        (["green", None, "blue", None], [False, False, True, True]),
        (["", "blue\n"], [False, True]),
        (["bluer"], [False]),
    ],
)
def test_the_file_is_read_each_time_and_the_last_word_stays(
    tmp_path: Path, contents: list[str | bytes | None], answers: list[bool]
) -> None:
    live = tmp_path / "live"
    rotation = Rotation(live, "blue")

    def after(content: str | bytes | None) -> bool:
        live.unlink(missing_ok=True)
        if content is not None:
            live.write_bytes(content.encode() if isinstance(content, str) else content)
        return rotation.is_in()

    assert [after(content) for content in contents] == answers


def test_a_directory_in_its_place_is_unreadable(tmp_path: Path) -> None:
    assert not Rotation(tmp_path, "blue").is_in()
