"""One process of several does the duties; when it or its connection dies, another does within 3 s."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import asyncpg
from served import environment, served
from stores import Stores

from app.leader import Connection, Duty, Leader
from app.rotation import Rotation

LOCK = 0x74657374


async def until(is_true: Callable[[], bool], *, within_s: float) -> float:
    """Seconds until it held; fails when it does not."""
    began = time.monotonic()
    while not is_true():
        assert time.monotonic() - began < within_s, "not in time"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


@asynccontextmanager
async def running(leaders: Sequence[Leader]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(leader.run()) for leader in leaders]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def leader(
    stores: Stores, name: str, done: list[str], rotation: Rotation, channel: str | None = None
) -> Leader:
    async def note(connection: Connection) -> None:
        assert await connection.fetchval("SELECT 1") == 1
        done.append(name)

    duty = Duty(name="note", every_s=0.1 if channel is None else 60, run=note, channel=channel)
    return Leader(stores.dsn(), (duty,), lock=LOCK, name=f"test-{name}", rotation=rotation)


async def end_connection(stores: Stores, name: str) -> int:
    connection = await asyncpg.connect(stores.dsn("postgres", "gad"))
    try:
        return len(
            await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", name
            )
        )
    finally:
        await connection.close()


async def test_one_leads_and_the_other_takes_over_when_its_connection_is_ended(stores: Stores) -> None:
    done: list[str] = []
    two = [leader(stores, name, done, Rotation(None, None)) for name in ("a", "b")]
    async with running(two):
        await until(lambda: len(done) >= 5, within_s=5)
        await asyncio.sleep(1.2)  # the other has asked by now
        first = done[0]
        assert set(done) == {first}
        assert [each.leads for each in two].count(True) == 1
        assert await end_connection(stores, f"test-{first}") == 1
        await asyncio.sleep(0.1)  # it has noticed
        done.clear()
        assert await until(lambda: len(done) > 0, within_s=3) <= 3
        await asyncio.sleep(1.2)
        assert [each.leads for each in two].count(True) == 1
        assert len(set(done)) == 1


async def test_a_slot_out_of_rotation_hands_the_duties_over(stores: Stores, tmp_path: Path) -> None:
    done: list[str] = []
    live = tmp_path / "live"
    live.write_text("blue")
    two = [leader(stores, slot, done, Rotation(live, slot)) for slot in ("blue", "green")]
    async with running(two):
        await until(lambda: done.count("blue") >= 3, within_s=5)
        assert set(done) == {"blue"}
        live.write_text("green")
        await until(lambda: "green" in done, within_s=4)
        done.clear()
        await until(lambda: len(done) >= 3, within_s=4)
        assert set(done) == {"green"}


async def test_a_notification_wakes_at_once_and_a_failed_duty_is_tried_again(stores: Stores) -> None:
    ran: list[float] = []

    async def fail_once(connection: Connection) -> None:
        ran.append(time.monotonic())
        if len(ran) == 2:
            raise ValueError("a bug")

    duty = Duty(name="note", every_s=60, run=fail_once, channel="test_wake")
    one = Leader(stores.dsn(), (duty,), lock=LOCK, name="test-wake", rotation=Rotation(None, None))
    async with running([one]):
        await until(lambda: len(ran) == 1, within_s=5)
        connection = await asyncpg.connect(stores.dsn())
        try:
            for count in (2, 3):
                await connection.execute("NOTIFY test_wake")
                assert await until(lambda count=count: len(ran) == count, within_s=0.5) < 0.5  # type: ignore[misc]
        finally:
            await connection.close()
        assert one.leads


async def test_what_comes_in_quick_succession_is_done_together_and_none_is_forgotten(stores: Stores) -> None:
    ran: list[tuple[float, float]] = []

    async def slow(connection: Connection) -> None:
        began = time.monotonic()
        assert await connection.fetchval("SELECT 1 FROM pg_sleep(0.05)") == 1
        ran.append((began, time.monotonic()))

    duty = Duty(name="note", every_s=60, run=slow, channel="test_rest", rest_s=0.2)
    one = Leader(stores.dsn(), (duty,), lock=LOCK, name="test-rest", rotation=Rotation(None, None))
    async with running([one]):
        await until(lambda: len(ran) == 1, within_s=5)
        connection = await asyncpg.connect(stores.dsn())
        try:
            for _ in range(40):  # also while it runs
                last = time.monotonic()
                await connection.execute("NOTIFY test_rest")
                await asyncio.sleep(0.01)
        finally:
            await connection.close()
        await until(lambda: ran[-1][0] > last, within_s=5)
        rests = [later[0] - earlier[1] for earlier, later in pairwise(ran)]
        assert len(rests) >= 2
        assert min(rests) >= 0.19


async def test_without_a_database_it_keeps_trying(stores: Stores) -> None:
    one = Leader(
        "postgresql://gad_app:x@127.0.0.1:1/gad",
        (),
        lock=LOCK,
        name="test-none",
        rotation=Rotation(None, None),
    )
    task = asyncio.create_task(one.run())
    await asyncio.sleep(1.3)
    assert not task.done()
    assert not one.leads
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_a_process_without_its_database_serves_on(stores: Stores, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.write_text("postgresql://gad_app:x@127.0.0.1:1/gad")  # pragma: allowlist secret
    with served(environment(stores, tmp_path, GAD_DATABASE_URL_FILE=str(nowhere)), tmp_path) as api:
        time.sleep(2.5)  # two tries of both leaders
        assert api.is_alive()
        assert api.ready().status_code == 503
        api.terminate()
        assert api.child.wait(timeout=25) == 0
