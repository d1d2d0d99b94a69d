from __future__ import annotations

from pathlib import Path

import pytest

from infra.toolchain.dockerd import is_running, last_words, remove_stale


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc with one dockerd (100) and one stranger (200)."""
    for number, name in ((100, "dockerd"), (200, "sleep")):
        (tmp_path / "proc" / str(number)).mkdir(parents=True)
        (tmp_path / "proc" / str(number) / "comm").write_text(f"{name}\n")
    return tmp_path / "proc"


@pytest.mark.parametrize(
    ("content", "running"),
    [("100", True), ("100\n", True), ("200", False), ("300", False), ("", False), ("garbage", False)],
)
def test_a_pid_file_is_stale_unless_its_process_is_the_daemon(
    proc: Path, tmp_path: Path, content: str, running: bool
) -> None:
    pid_file = tmp_path / "docker.pid"
    pid_file.write_text(content)
    assert is_running(pid_file, "dockerd", proc) is running
    assert remove_stale(pid_file, "dockerd", proc) is not running
    assert pid_file.exists() is running


def test_no_pid_file_is_nothing_to_remove(proc: Path, tmp_path: Path) -> None:
    assert not is_running(tmp_path / "docker.pid", "dockerd", proc)
    assert not remove_stale(tmp_path / "docker.pid", "dockerd", proc)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "no output"),
        ('time="…" level=info msg="Starting up"\n', 'time="…" level=info msg="Starting up"'),
        (
            'time="…" level=info msg=a\nfailed to start daemon: no space left on device\n'
            'time="…" level=info msg="stopping"\n',
            "failed to start daemon: no space left on device",
        ),
        ('level=error msg="cannot bind"\nlevel=info msg=b\n', 'level=error msg="cannot bind"'),
    ],
)
def test_the_words_that_explain_an_end_are_found(log: str, words: str) -> None:
    assert last_words(log) == words
