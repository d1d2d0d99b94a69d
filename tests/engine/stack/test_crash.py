"""A live slot that dies under its sockets: everybody comes back, and hears each event once."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import docker
import httpx
from docker.models.containers import Container

from infra.client.people import READ_ME
from infra.client.session import Session
from infra.operate.outputs import StackOutputs, read_outputs
from infra.operate.probe_sockets import PER_SECOND, Audience, Follower, Writer
from infra.operate.pulumi import Pulumi
from infra.operate.users import demo_admin
from tests.engine.stack.checkout import STACK, Checkout

CRASHES = 6 if os.environ.get("GAD_TEST_LONG") else 1
CLIENTS = 20
MISSED = 5  # events that half of the clients miss and get by replay, whatever the machine's speed
BACK_S = 40  # ten times what it takes on an idle machine: other tests share it
# The init of the container stays, sees its child die and ends, as in a crash. `docker kill` will not do: the
# engine takes it for a person's stop and leaves the container down.
CRASH = ["python", "-c", "import os, signal; os.kill(-1, signal.SIGKILL)"]


@dataclass(kw_only=True)
class LateFollower(Follower):
    """It does not come back before `missed` notices in all are sent."""

    writer: Writer
    missed: int = 0

    async def pause(self) -> None:
        await self.writer.reaches(self.missed)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for it; the caller bounds for how long."""
    while not is_so():  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(0.05)


def outputs_of(checkout: Checkout) -> StackOutputs:
    """What the stack exports."""
    return read_outputs(STACK, Pulumi(checkout.root, STACK).deployment().outputs)


def is_healthy(container: Container) -> bool:
    """As its own check says."""
    container.reload()
    return bool(container.attrs["State"]["Health"]["Status"] == "healthy")


async def test_sockets_outlive_a_crash_of_the_live_slot(
    checkout: Checkout, client: docker.DockerClient
) -> None:
    outputs = await asyncio.to_thread(outputs_of, checkout)
    account = await asyncio.to_thread(demo_admin, checkout.root, outputs)
    before = checkout.containers(client)
    slot = client.containers.get(before[outputs.live])
    restarts = slot.attrs["RestartCount"]
    tls = ssl.create_default_context(cafile=str(checkout.root / ".gad" / STACK / "ca.crt"))
    async with httpx.AsyncClient(base_url=outputs.url, verify=tls, timeout=15.0) as http:
        session = Session(http, account.email, lambda: account.password)
        writer = Writer(session, (await session.call(READ_ME)).uuid)
        token = await session.sign_in()
        followers = [LateFollower(token, outputs.url, tls, writer=writer) for _ in range(CLIENTS)]
        audience = Audience(writer, followers)
        await audience.open()
        try:
            for crash in range(1, CRASHES + 1):
                async with asyncio.timeout(BACK_S):
                    await writer.reaches(writer.sent + 2 * PER_SECOND)
                    for late in followers[::2]:
                        late.missed = writer.sent + MISSED
                    await asyncio.to_thread(slot.exec_run, CRASH)
                    await until(lambda wanted=crash: all(len(each.backs_s) >= wanted for each in followers))
            await writer.reaches(writer.sent + PER_SECOND)
            sockets = await audience.close()
        finally:
            await audience.leave()
    assert sockets.received == (writer.sent,) * CLIENTS
    assert (sockets.lost, sockets.doubled, sockets.gaps, sockets.away) == (0, 0, 0, 0)
    assert [sum(each.values()) for each in sockets.closes] == [CRASHES] * CLIENTS
    async with asyncio.timeout(BACK_S):
        await until(lambda: is_healthy(slot))
    assert checkout.containers(client) == before
    assert slot.attrs["RestartCount"] == restarts + CRASHES
    assert (await asyncio.to_thread(outputs_of, checkout)).live == outputs.live
