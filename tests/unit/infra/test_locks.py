"""A dead owner's lock goes; a living one's stays, and the refusal says who holds it and since when."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.errors import Exit, GadError
from infra.operate.locks import lock_folder, release_dead

HERE = socket.gethostname()


def lock(state: Path, *, pid: int, hostname: str = HERE, at: datetime | None = None) -> Path:
    """A lock as the engine writes one."""
    folder = lock_folder(state, "dev")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{pid}-{hostname}.json"
    stamp = (at or datetime.now(UTC)).isoformat()
    content = {"pid": pid, "username": "ana", "hostname": hostname, "timestamp": stamp}
    file.write_text(json.dumps(content))
    file.with_name(f"{file.name}.attrs").write_text("{}")
    return file


@pytest.fixture
def living() -> Iterator[int]:
    """A process of ours that waits to be ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n")


@pytest.fixture
def dead() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def refused(state: Path) -> GadError:
    with pytest.raises(GadError) as caught:
        release_dead(state, "dev")
    assert caught.value.exit_code == Exit.REFUSED
    return caught.value


def test_without_locks_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert release_dead(tmp_path, "dev") == ()


def test_a_dead_owners_lock_goes(tmp_path: Path, dead: int) -> None:
    file = lock(tmp_path, pid=dead)
    (removed,) = release_dead(tmp_path, "dev")
    assert removed.pid == dead
    assert list(file.parent.iterdir()) == []


def test_a_process_that_nobody_waited_for_is_dead(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    lock(tmp_path, pid=process.pid)
    assert [one.pid for one in release_dead(tmp_path, "dev")] == [process.pid]
    process.wait()


def test_a_living_owner_is_named(tmp_path: Path, living: int) -> None:
    since = datetime.now(UTC)
    file = lock(tmp_path, pid=living, at=since)
    error = refused(tmp_path)
    assert f"stack dev is being updated by ana on {HERE} (pid {living})" in error.fact
    assert f"since {since:%Y-%m-%d %H:%M:%S} UTC" in error.fact
    assert error.remedy == "wait until that update ends"
    assert file.exists()


def test_a_pid_that_another_process_has_now_is_dead(tmp_path: Path, living: int) -> None:
    lock(tmp_path, pid=living, at=datetime.now(UTC) - timedelta(hours=1))
    assert [one.pid for one in release_dead(tmp_path, "dev")] == [living]


def test_another_accounts_process_is_alive(
    tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine may hide other accounts' processes in /proc; a signal still tells that they are there."""

    def hidden(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", hidden)
    lock(tmp_path, pid=dead)
    assert "is being updated by ana" in refused(tmp_path).fact


def test_another_machines_lock_is_for_a_person(tmp_path: Path, dead: int) -> None:
    file = lock(tmp_path, pid=dead, hostname="elsewhere")
    error = refused(tmp_path)
    assert f"by ana on elsewhere (pid {dead})" in error.fact
    assert error.remedy.startswith(f"ask ana, or look at pid {dead} on elsewhere")
    assert file.exists()


def test_a_dead_lock_beside_a_living_one_does_not_open_the_stack(
    tmp_path: Path, dead: int, living: int
) -> None:
    lock(tmp_path, pid=dead)
    file = lock(tmp_path, pid=living)
    assert f"(pid {living})" in refused(tmp_path).fact
    assert file.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"pid": "x"}'])
def test_an_unreadable_lock_is_for_a_person(tmp_path: Path, content: bytes) -> None:
    folder = lock_folder(tmp_path, "dev")
    folder.mkdir(parents=True)
    (folder / "broken.json").write_bytes(content)
    error = refused(tmp_path)
    assert error.fact == "the lock broken.json of stack dev is not readable"
    assert (folder / "broken.json").exists()


def test_the_engines_own_form_is_read(tmp_path: Path, dead: int) -> None:
    """As Go writes a time: nanoseconds, and the zone of the machine."""
    folder = lock_folder(tmp_path, "dev")
    folder.mkdir(parents=True)
    (folder / "engine.json").write_text(
        f'{{"pid":{dead},"username":"root","hostname":"{HERE}","timestamp":"2026-10-07T12:34:56.123456789-03:00"}}'
    )
    (removed,) = release_dead(tmp_path, "dev")
    assert removed.timestamp.astimezone(UTC).hour == 15
