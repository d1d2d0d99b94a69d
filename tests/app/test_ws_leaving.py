"""A slot that dies, leaves or stops: its clients go to the other one, and miss nothing on the way."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from audience import Producer, come_back, people, until_all_heard, url
from bodies import new_caller
from sockets import peer, replicas, token_of
from stores import Stores
from test_health import write

from infra.operate.ws_load import LoadClient, Tally, open_clients


async def test_a_killed_slot_costs_its_clients_nothing(stores: Stores, tmp_path: Path) -> None:
    """Each goes to the other slot with the last id it saw, under 50 messages a second."""
    with replicas(stores, tmp_path, "blue", "green") as (process, (blue, green)):
        blue.wait_ready(200)
        green.wait_ready(200)
        tally = Tally()
        clients = [LoadClient(tally, token_of(each), ["tasks"]) for each in await people(process, 20)]
        await open_clients(clients, url(blue))
        async with Producer(process.database, "tasks") as producer:
            await asyncio.sleep(1.5)
            blue.child.kill()
            back = await asyncio.gather(*(come_back(client, url(green)) for client in clients))
            await asyncio.sleep(4)  # the other may have had to become the leader
            await producer.stop()
            await until_all_heard(tally, 20 * producer.count)
        assert tally.closed[1006] == 20
        for client in back:
            client.drop()
        await process.close()


async def test_a_slot_that_leaves_sends_its_clients_away_within_10_s(stores: Stores, tmp_path: Path) -> None:
    """Acceptance 22, and nobody misses anything on the way."""
    live = tmp_path / "live"
    write(live, "blue")
    with replicas(stores, tmp_path, "blue", "green", GAD_LIVE_SLOT_FILE=str(live)) as (
        process,
        (blue, green),
    ):
        blue.wait_ready(200)
        tally = Tally()
        clients = [LoadClient(tally, token_of(each), ["tasks"]) for each in await people(process, 20)]
        await open_clients(clients, url(blue))
        boss = await new_caller(process, 2)
        async with peer(blue, token_of(boss)) as client:
            await client.hear("welcome")
            async with Producer(process.database, "tasks") as producer:
                await asyncio.sleep(1)
                write(live, "green")
                began = time.monotonic()
                told = await client.hear("reconnect")
                assert 0 <= told["data"]["after_ms"] <= 5000
                assert await client.close_code() == 1012
                back = await asyncio.gather(*(come_back(each, url(green)) for each in clients))
                assert time.monotonic() - began < 10
                assert tally.closed == {1012: 20}
                green.wait_ready(200)
                await asyncio.sleep(3)
                await producer.stop()
                await until_all_heard(tally, 20 * producer.count)
            assert blue.ready().status_code == 503
        for each in back:
            each.drop()
        await process.close()


async def test_a_stop_under_load_is_1012_for_all_and_exit_0_in_time(stores: Stores, tmp_path: Path) -> None:
    """Product contract, section 14: SIGTERM; and, section 5, so many sockets a minute for a person."""
    with replicas(stores, tmp_path, "blue", "green", GAD_RATE_WS="2") as (process, (blue, green)):
        blue.wait_ready(200)
        green.wait_ready(200)
        tally = Tally()
        clients = [LoadClient(tally, token_of(each), ["tasks"]) for each in await people(process, 20)]
        await open_clients(clients, url(blue))
        async with Producer(process.database, "tasks") as producer:
            await asyncio.sleep(1)
            began = time.monotonic()
            blue.terminate()
            back = await asyncio.gather(*(come_back(each, url(green)) for each in clients))
            assert time.monotonic() - began < 10
            assert await asyncio.to_thread(blue.child.wait, 25) == 0
            assert time.monotonic() - began < 25
            await asyncio.sleep(3)
            await producer.stop()
            await until_all_heard(tally, 20 * producer.count)
        assert tally.closed == {1012: 20}
        assert "Traceback" not in blue.log.read_text()
        async with peer(green, clients[0].token) as third:
            assert await third.close_code() == 4429
        for each in back:
            each.drop()
        await process.close()
