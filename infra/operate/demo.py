"""Writes the district through the HTTP API, as an administrator would.

It may be interrupted and run again at any time: officers that exist already are left alone.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from infra.client.api import Api
from infra.client.failures import ClientError, NotServed, Refused
from infra.client.people import Officer
from infra.client.session import REQUEST_S, Session
from infra.errors import GadError
from infra.operate import demo_work
from infra.operate.demo_work import Work
from infra.operate.district import COUNT, SEED, DemoOfficer, district
from infra.operate.users import Account

CONCURRENCY = 16  # chosen: three times a slot's database pool, so that the pool is never idle
LIMITS = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)


@dataclass(frozen=True)
class Summary:
    """What a load did."""

    created: int
    present: int
    seconds: float
    work: Work = field(default_factory=Work)

    @property
    def per_second(self) -> float:
        """Officers created each second."""
        return self.created / self.seconds if self.seconds else 0.0


def load(
    base_url: str,
    ca_file: Path | None,
    *,
    email: str,
    password: Callable[[], str],
    count: int = COUNT,
    seed: int = SEED,
    accounts: Mapping[int, Account] | None = None,
    console: Console | None = None,
) -> Summary:
    """Write the district through the API at `base_url` as the administrator `email`, and bring it to work.

    `ca_file`: the certificate authority to trust instead of the system's. `password` is asked at each login.
    `accounts`: people of a level who can sign in, made too.
    Creates nothing that exists. Raises GadError if the API refuses, or does not answer for a long while.
    """
    with _progress(console or Console(stderr=True), count) as show:
        verify = ssl.create_default_context(cafile=str(ca_file)) if ca_file is not None else True
        client = httpx.AsyncClient(base_url=base_url, verify=verify, limits=LIMITS, timeout=REQUEST_S)
        api = Api(Session(client, email, password))
        return asyncio.run(_everything(api, count, seed, accounts or {}, show))


@contextmanager
def _progress(console: Console, count: int) -> Iterator[Callable[[Summary], None]]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        bar: TaskID = progress.add_task("officers", total=count, rate="")

        def show(done: Summary) -> None:
            progress.update(bar, completed=done.created + done.present, rate=f"{done.per_second:.0f}/s")

        yield show


async def _load(
    api: Api, count: int, seed: int, show: Callable[[Summary], None]
) -> tuple[Summary, dict[str, Officer]]:
    """The district's officers by internal code, and what was done for it."""
    try:
        known = {officer.internal_code: officer async for officer in api.officers()}
    except ClientError as error:
        raise _failure(error, "listing officers") from error
    began = time.monotonic()
    missing = [officer for officer in district(count, seed) if officer.internal_code not in known]
    created, present = 0, count - len(missing)
    waiting = iter(missing)  # shared: each worker takes the next

    async def work() -> None:
        nonlocal created, present
        for officer in waiting:
            made = await _create(api, officer)
            if made is not None:
                known[officer.internal_code] = made
                created += 1
            else:
                present += 1
            show(Summary(created, present, time.monotonic() - began))

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(CONCURRENCY):
                workers.create_task(work())
    except* GadError as refused:
        raise refused.exceptions[0] from None
    summary = Summary(created, present, time.monotonic() - began)
    show(summary)
    return summary, known


async def _everything(
    api: Api, count: int, seed: int, accounts: Mapping[int, Account], show: Callable[[Summary], None]
) -> Summary:
    async with api.session.client:
        summary, officers = await _load(api, count, seed, show)
        try:
            work = await demo_work.bring_to_work(api, officers, accounts, count, seed)
        except ClientError as error:
            raise _failure(error, "bringing the district to work") from error
        return replace(summary, work=work)


async def _create(api: Api, officer: DemoOfficer) -> Officer | None:
    """The new one; None if it exists already."""
    try:
        return await api.create_officer(officer.body(datetime.now(UTC)))
    except Refused as refused:
        if refused.code == "internal_code_taken":
            return None
        raise _failure(refused, f"creating officer {officer.internal_code}") from refused
    except ClientError as error:
        raise _failure(error, f"creating officer {officer.internal_code}") from error


def _failure(error: ClientError, doing: str) -> GadError:
    if isinstance(error, Refused):
        remedy = {
            401: "give an administrator's e-mail and password",
            403: "give the account of an administrator (level 3)",
            409: "another person or officer has the same e-mail or document: use another seed",
        }.get(error.status, f"look at the API's log for request {error.request_id}")
        return GadError(f"{doing} was refused: {error.status} {error.code} ({error.detail})", remedy=remedy)
    if isinstance(error, NotServed):
        return GadError(
            str(error), remedy="look at `gad status`, then run it again: it goes on where it stopped"
        )
    return GadError(str(error), remedy="check that the address is GRUPO_GAD's and of this version")
