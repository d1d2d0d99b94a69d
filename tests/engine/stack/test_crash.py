"""A live slot that dies under its sockets: everybody comes back, and hears each event once."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

import docker
import httpx
from docker.models.containers import Container

from infra.client.operation import Answer, Body, Operation
from infra.client.session import Session
from infra.operate.outputs import StackOutputs, read_outputs
from infra.operate.pulumi import Pulumi
from infra.operate.users import demo_admin
from infra.operate.ws_load import LoadClient, Tally, open_client, open_clients
from tests.engine.stack.checkout import STACK, Checkout

CRASHES = 6 if os.environ.get("GAD_TEST_LONG") else 1
CLIENTS, PER_SECOND = 20, 5
MISSED = 5  # events that half of the clients miss and get by replay, whatever the machine's speed
LAST_S = 10  # how long the last message may take before it counts as lost
BACK_S = 40  # ten times what it takes on an idle machine: other tests share it
# The init of the container stays, sees its child die and ends, as in a crash. `docker kill` will not do: the
# engine takes it for a person's stop and leaves the container down.
CRASH = ["python", "-c", "import os, signal; os.kill(-1, signal.SIGKILL)"]


class Notice(Body):
    """To everybody; the text is what clients count by."""

    all: bool = True
    text: str


class Accepted(Answer):
    """It is on its way."""


NOTIFY = Operation(
    method="POST", path="/api/v1/notifications", answer=Accepted, status=202, body=Notice, is_once=True
)


@dataclass
class Writer:
    """Sends numbered notices through the proxy, one after the other, whether or not the API is there."""

    session: Session
    sent: int = 0
    _is_stopping: bool = False

    async def run(self) -> None:
        """Until it is told to stop; a notice under way is finished."""
        while not self._is_stopping:
            text = f"n={self.sent} sent={time.time():.6f}"
            await self.session.call(NOTIFY, Notice(text=text))
            self.sent += 1
            await asyncio.sleep(1 / PER_SECOND)

    def stop(self) -> None:
        """After the notice under way."""
        self._is_stopping = True

    async def reaches(self, count: int) -> None:
        """Wait until so many are sent."""
        await until(lambda: self.sent >= count)


@dataclass
class Follower:
    """A client that comes back as often as it is cut off, but not before `missed` notices in all are sent."""

    connection: LoadClient
    writer: Writer
    url: str
    tls: ssl.SSLContext
    returns: int = 0
    missed: int = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.connection.gone
            await self.writer.reaches(self.missed)
            try:
                again = self.connection.again()
                self.connection = await open_client(again, self.url, tls=self.tls)
                self.returns += 1
            except (OSError, TimeoutError):
                await asyncio.sleep(0.2)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for it; the caller bounds for how long."""
    while not is_so():  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(0.05)


async def heard(tally: Tally, messages: int) -> None:
    """Wait for the last one, then a moment longer for one too many; the caller counts."""
    until = time.monotonic() + LAST_S
    while tally.received < messages and time.monotonic() < until:  # noqa: ASYNC110 - it counts by itself
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)


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
    tally = Tally()
    async with httpx.AsyncClient(base_url=outputs.url, verify=tls, timeout=15.0) as http:
        writer = Writer(Session(http, account.email, lambda: account.password))
        token = await writer.session.sign_in()
        followers = [
            Follower(LoadClient(tally, token, ["alerts"]), writer, outputs.url, tls) for _ in range(CLIENTS)
        ]
        await open_clients([each.connection for each in followers], outputs.url, tls=tls)
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(writer.run())
            following = [group.create_task(each.run()) for each in followers]
            for crash in range(1, CRASHES + 1):
                async with asyncio.timeout(BACK_S):
                    await writer.reaches(writer.sent + 2 * PER_SECOND)
                    for late in followers[::2]:
                        late.missed = writer.sent + MISSED
                    await asyncio.to_thread(slot.exec_run, CRASH)
                    await until(lambda wanted=crash: all(each.returns >= wanted for each in followers))
            await writer.reaches(writer.sent + PER_SECOND)
            writer.stop()
            await writing
            await heard(tally, writer.sent * CLIENTS)
            for task in following:
                task.cancel()
    for each in followers:
        each.connection.drop()
    assert (tally.received, tally.lost, tally.doubled, tally.gaps) == (writer.sent * CLIENTS, 0, 0, 0)
    assert [each.returns for each in followers] == [CRASHES] * CLIENTS
    async with asyncio.timeout(BACK_S):
        await until(lambda: is_healthy(slot))
    assert checkout.containers(client) == before
    assert slot.attrs["RestartCount"] == restarts + CRASHES
    assert (await asyncio.to_thread(outputs_of, checkout)).live == outputs.live
