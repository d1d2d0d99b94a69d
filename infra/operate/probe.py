"""A prober of a running stack: people's requests in an open loop, over TLS, and each that fails is told.

It sends whether or not earlier requests were answered, repeats none, and afterwards asks the API for every
task that is said to be made. Tests and `gad probe` run it while a stack changes.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, takewhile
from pathlib import Path
from threading import Thread
from uuid import uuid4

import httpx
import uvloop

from infra.client.api import Api
from infra.client.failures import ClientError
from infra.client.session import ATTEMPTS, Session
from infra.client.work import Task
from infra.errors import Exit, GadError
from infra.operate import open_loop
from infra.operate.certificate import authority_file
from infra.operate.open_loop import Answered, Target
from infra.operate.outputs import read_outputs
from infra.operate.probe_mix import Mix
from infra.operate.probe_report import Found, Probed, Report, report
from infra.operate.probe_sockets import Audience, Follower, Writer
from infra.operate.pulumi import Pulumi
from infra.operate.users import Account, demo_admin

PER_SECOND, CLIENTS = 100.0, 20
RENEW_S = 600.0  # tokens last 15 minutes
REQUEST_S = 15.0  # of what is asked before and after; as infra/client waits
SWEEPERS = 8  # tasks removed at once afterwards


@dataclass(frozen=True)
class Progress:
    """How it goes so far; `slot`: who answered last."""

    requests: int
    failed: int
    away: int
    slot: str


class Prober:
    """`async with Prober(…) as probe:`, set `probe.phase` as things happen, read `probe.report` afterwards.

    Requests of all kinds at `per_second`, and `clients` sockets (1 or more) with somebody who writes to them,
    as long as the block lasts; then the tasks are counted and removed. Raises GadError if the stack does not
    serve at the beginning; whatever happens later is in the report. One at a time on a stack: two with one
    account would hear each other's notices.
    """

    def __init__(
        self,
        url: str,
        authority: Path | None,
        account: Account,
        *,
        per_second: float = PER_SECOND,
        clients: int = CLIENTS,
    ) -> None:
        self._url, self._account = url, account
        self._tls = ssl.create_default_context(cafile=authority) if url.startswith("https:") else None
        self._target = _loopback(url, self._tls)
        self._per_second, self._clients = per_second, clients
        self._phases: list[tuple[float, str]] = [(0.0, "steady")]
        self._probed: list[Probed] = []
        self._failed = 0
        self._stopping = asyncio.Event()
        self._report: Report | None = None

    @property
    def phase(self) -> str:
        """What is going on, in the caller's words; "steady" at first. Any thread may set it."""
        return self._phases[-1][1]

    @phase.setter
    def phase(self, name: str) -> None:
        self._phases.append((time.monotonic(), name))

    @property
    def progress(self) -> Progress:
        """While it runs; any thread may ask."""
        slot = self._probed[-1].slot if self._probed else ""
        return Progress(len(self._probed), self._failed, self._audience.away, slot)

    @property
    def report(self) -> Report:
        """What was seen, once the block has ended."""
        if self._report is None:
            raise RuntimeError("the prober has not ended")
        return self._report

    async def __aenter__(self) -> Prober:
        self._http = httpx.AsyncClient(base_url=self._url, verify=self._tls or True, timeout=REQUEST_S)
        try:
            await self._open()
        except (ClientError, OSError, TimeoutError) as error:
            await self._http.aclose()
            raise GadError(
                f"{self._url} does not serve: {str(error) or type(error).__name__}",
                remedy="look at `gad status`, then probe again",
            ) from error
        self._began = time.monotonic(), datetime.now(UTC)
        self._renewing = asyncio.create_task(self._renew())
        self._driving = asyncio.create_task(self._drive())
        return self

    async def _open(self) -> None:
        session = Session(self._http, self._account.email, lambda: self._account.password, attempts=2)
        self._api, self._token = Api(session), await session.sign_in()
        self._mix = Mix(uuid4().hex[:12], lambda: self._token)
        writer = Writer(session, (await self._api.me()).uuid)
        followers = [Follower(self._token, self._url, self._tls) for _ in range(self._clients)]
        self._audience = Audience(writer, followers)
        await self._audience.open()
        session.attempts = ATTEMPTS  # from now on nobody wonders if the stack is away for a while

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        seconds = time.monotonic() - self._began[0]
        try:
            await self._driving
            sockets = await self._audience.close()
            found = await self._count()
        finally:
            self._renewing.cancel()
            await self._audience.leave()
            await self._http.aclose()
        self._report = report(self._probed, found, sockets, began=self._began[1], seconds=seconds)

    async def _drive(self) -> None:
        # As many lines as may wait at once: else one that waits would keep another from being sent.
        lines = int(self._per_second * open_loop.ANSWER_S) + 1
        numbers = takewhile(lambda _: not self._stopping.is_set(), count())
        mix = iter(self._mix)
        await open_loop.drive(
            self._target, mix, numbers, per_second=self._per_second, connections=lines, seen=self._take
        )

    def _take(self, answer: Answered) -> None:
        now = asyncio.get_running_loop().time()
        begun, at = self._began
        probed = Probed(
            kind=answer.kind,
            due=answer.due,
            ended=now,
            at=at.timestamp() + answer.due - begun,
            seconds=answer.seconds,
            status=answer.status,
            failure=answer.failure,
            slot=answer.slot,
            phase=self._phases[bisect_right(self._phases, answer.due, key=_since) - 1][1],
            until=self.phase,
            mark=answer.mark,
        )
        self._probed.append(probed)
        self._failed += probed.is_failed

    async def _renew(self) -> None:
        """Before the token ends, for requests and sockets; one that is not given is a failure like others."""
        while True:
            await asyncio.sleep(RENEW_S)
            due = asyncio.get_running_loop().time()
            try:
                self._token = await self._api.session.renew()
            except ClientError as error:
                self._take(Answered("token", 0, 0.0, failure=str(error), due=due))
            else:
                self._audience.renew(self._token)

    async def _count(self) -> Found:
        """Every task of this run that the API has; they are removed on the way out."""
        tasks: list[Task] = []
        try:
            async for task in self._api.tasks(text=self._mix.prefix):
                tasks.append(task)
        except ClientError as error:
            return Found(unchecked=str(error))
        left = len(tasks)
        waiting = iter(tasks)

        async def work_off() -> None:
            nonlocal left
            with suppress(ClientError):  # then they are left, which the report says
                for task in waiting:
                    await self._api.delete_task(task)
                    left -= 1

        await asyncio.gather(*(work_off() for _ in range(SWEEPERS)))
        return Found([task.title for task in tasks], left=left)


def _since(phase: tuple[float, str]) -> float:
    return phase[0]


def _loopback(url: str, tls: ssl.SSLContext | None) -> Target:
    try:
        return Target.parse(url, tls)
    except ValueError as error:
        raise GadError(
            f"{error}; the prober sends load to its own machine alone",
            remedy="probe a stack that runs here",
            exit_code=Exit.REFUSED,
        ) from None


@contextmanager
def probing(
    root: Path, stack: str, *, per_second: float = PER_SECOND, clients: int = CLIENTS
) -> Iterator[Prober]:
    """A prober of a checkout's stack at work beside the caller, as the demo's administrator.

    `with probing(root, "check") as probe:`, run commands, then `probe.report`. Raises GadError, and refuses
    production.
    """
    outputs = read_outputs(stack, Pulumi(root, stack).deployment().outputs)
    if outputs.environment == "production":
        raise GadError(
            f"stack {stack} is production; a prober writes tasks that nobody needs",
            remedy="probe dev or staging",
            exit_code=Exit.REFUSED,
        )
    _loopback(outputs.url, None)  # before an account is made for it
    authority = authority_file(root, stack) if outputs.tls == "internal" else None
    account = demo_admin(root, outputs)
    with beside(Prober(outputs.url, authority, account, per_second=per_second, clients=clients)) as prober:
        yield prober


@contextmanager
def beside(prober: Prober) -> Iterator[Prober]:
    """A prober at work in a thread of its own, for who waits for other things meanwhile. Raises GadError."""
    # The sender shares its processors with the stack: what it needs, the stack lacks.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop = runner.get_loop()
        thread = Thread(target=loop.run_forever, name="prober")
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(prober.__aenter__(), loop).result()
            try:
                yield prober
            finally:
                asyncio.run_coroutine_threadsafe(prober.__aexit__(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
