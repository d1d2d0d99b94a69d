"""After SIGTERM the process ends in time with 0, whatever does not let itself be ended, and names it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served import Served, environment, served
from stores import ROOT, Stores, wait_for
from test_health import lines

from app import ending

# `python -m stuck`: the process, with one part that does not end.
STUCK = """
import asyncio, sys, time
from pathlib import Path
from app import ending, main
from app.rotation import Rotation
from app.stream import Stream
from app.ws.reader import Reader

HERE = Path(__file__).parent

async def deaf(self):
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass

async def lingers(self):
    await asyncio.to_thread(time.sleep, 600)

def blocks(self):
    if (HERE / "block").exists():
        (HERE / "blocked").touch()
        time.sleep(600)
    return True

{change}
sys.exit(main.main())
"""


async def deaf() -> None:
    for _ in range(100):  # not for ever: the run of the tests wants to end
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            continue


def fields(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, Any]]:
    return [record.fields for record in caplog.records if record.getMessage() == message]  # type: ignore[attr-defined]


async def test_a_cancellation_that_a_library_loses_is_repeated(caplog: pytest.LogCaptureFixture) -> None:
    """Before Python 3.12 `wait_for` returns a result that is there instead of being cancelled."""
    leave = asyncio.Event()
    ended = asyncio.Event()

    async def quick() -> None:
        leave.set()  # whoever waits for it comes before `wait_for` hears of this result

    async def loop() -> None:
        try:
            await asyncio.wait_for(quick(), 5)
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with ending.background(loop()):
        await leave.wait()
    assert ended.is_set()
    assert fields(caplog, "not ended in time") == []


async def test_a_loop_that_does_not_let_itself_be_cancelled_is_left_and_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "CANCEL_S", 0.3)
    async with ending.background(deaf(), asyncio.Event().wait()):  # type: ignore[arg-type]
        await asyncio.sleep(0)
    assert fields(caplog, "not ended in time") == [{"loops": ["deaf"], "within_s": 0.3}]


async def test_a_closing_that_hangs_or_fails_is_named_and_keeps_no_other_one_open(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "CLOSE_S", 0.3)
    closed = asyncio.Event()

    async def fails() -> None:
        raise ConnectionError

    async def works() -> None:
        await asyncio.sleep(0)
        closed.set()

    await ending.close(deaf(), fails(), works())
    assert closed.is_set()
    assert fields(caplog, "not ended in time") == [{"closings": ["deaf"], "within_s": 0.3}]
    assert [each["name"].rpartition(".")[2] for each in fields(caplog, "closing failed")] == ["fails"]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ConnectionError]


def block(scratch: Path) -> None:
    (scratch / "block").touch()
    wait_for((scratch / "blocked").exists, "the loop is blocked", within_s=20)


def said(api: Served, message: str) -> list[dict[str, Any]]:
    return [line for line in lines(api.log) if line["message"] == message]


@pytest.mark.parametrize(
    ("change", "late", "cut", "prepare"),
    [
        ("Reader.run = deaf", [("loops", ["deaf"])], "deaf", lambda _: None),
        ("Stream.close = deaf", [("closings", ["deaf"])], "deaf", lambda _: None),
        ("Reader.run = lingers", [], "_WorkItem.run", lambda _: None),
        ("Rotation.is_in, ending.END_S = blocks, 2", [], "blocks", block),
    ],
    ids=["loop", "close", "thread", "blocked"],
)
def test_the_process_is_gone_in_time_and_says_what_it_did_not_wait_for(
    stores: Stores,
    tmp_path: Path,
    *,
    change: str,
    late: list[tuple[str, list[str]]],
    cut: str,
    prepare: Callable[[Path], None],
) -> None:
    """Product contract, section 14: 0 within 25 s. Left alone, each of them would last ten minutes."""
    (tmp_path / "stuck.py").write_text(STUCK.format(change=change))
    env = environment(stores, tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    with served(env, tmp_path, "stuck") as api:
        prepare(tmp_path)
        api.terminate()
        assert api.child.wait(timeout=25) == 0
    named = [(what, line.get(what)) for line in said(api, "not ended in time") for what, _ in late]
    assert named == late
    [last] = said(api, "cut off")
    assert cut in {*last["tasks"], *last["threads"].values()}
