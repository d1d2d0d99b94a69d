"""How quickly the whole stack answers a district at work: mixed requests over TLS, in an open loop."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from uuid import uuid4

import httpx
import uvloop

from infra.client import work
from infra.client.api import Api
from infra.client.failures import ClientError
from infra.client.people import OFFICERS
from infra.client.session import Session
from infra.errors import GadError
from infra.operate import open_loop
from infra.operate.bench_figure import Figure, percentile
from infra.operate.district import STATIONS
from infra.operate.open_loop import Answered, Request, Target
from infra.operate.users import Account

PER_SECOND = 300  # specified (product contract, section 15)
SECONDS = 30.0
WARM_UP_S = 3.0  # connections, statements, caches
TARGET_P95_MS, TARGET_P99_MS = 50.0, 120.0  # specified
MIX = {"list": 45, "create": 34, "metrics": 11, "health": 10}  # specified, per cent
SWEEPERS = 8  # tasks deleted at once afterwards
TITLE = "Medición de carga del banco"


@dataclass(frozen=True)
class Mix:
    """Requests as people at work send them, each unlike any other; the same seed gives the same order."""

    token: str
    seed: int = 1

    def __iter__(self) -> Iterator[Request]:
        """Without an end."""
        chance = Random(self.seed)  # noqa: S311 - an order, no secret
        kinds, weights = [*MIX], [*MIX.values()]
        for number in count():
            yield self._request(chance.choices(kinds, weights)[0], number, chance)

    def _request(self, kind: str, number: int, chance: Random) -> Request:
        station = chance.choice(STATIONS)
        bearer = ("Authorization", f"Bearer {self.token}")
        if kind == "create":
            where = {"lat": station.lat, "lon": station.lon}
            body = json.dumps({"title": f"{TITLE} {number}", "type": "patrol", "location": where}).encode()
            return Request(kind, "POST", work.TASKS, body, (bearer, ("Idempotency-Key", uuid4().hex)))
        if kind == "health":
            return Request(kind, "GET", chance.choice(("/health/live", "/health/ready")))
        lists = (f"{work.TASKS}?limit=20", f"{work.TASKS}?limit=20&status=programmed", f"{OFFICERS}?limit=20")
        around = f"lat={station.lat}&lon={station.lon}&radius_m=2000"
        metrics = (f"/api/v1/map?{around}", "/api/v1/stats/team", "/api/v1/stats/tasks")
        return Request(kind, "GET", chance.choice(lists if kind == "list" else metrics), headers=(bearer,))


def measure(base_url: str, authority: Path | None, account: Account) -> list[Figure]:
    """Send the mix to this machine's stack as `account`, and remove the tasks it made. Raises GadError."""
    tls = ssl.create_default_context(cafile=str(authority)) if authority is not None else None
    try:
        # The sender shares its processors with the stack: what it needs, the stack lacks.
        return uvloop.run(_measure(base_url, tls or ssl.create_default_context(), account))
    except ClientError as error:
        raise GadError(str(error), remedy="look at `gad status`, then measure again") from error


async def _measure(base_url: str, tls: ssl.SSLContext, account: Account) -> list[Figure]:
    target = Target.parse(base_url, tls)
    async with httpx.AsyncClient(base_url=base_url, verify=tls, timeout=15.0) as client:
        api = Api(Session(client, account.email, lambda: account.password))
        mix = iter(Mix(await api.session.sign_in()))
        warm = await open_loop.run(target, mix, per_second=PER_SECOND / 3, seconds=WARM_UP_S)
        used = open_loop.cpu_s()
        answers = await open_loop.run(target, mix, per_second=PER_SECOND, seconds=SECONDS)
        used = open_loop.cpu_s() - used
        await _sweep(api, [*warm, *answers])
    return figures(answers, generator_cpu_s=used)


async def _sweep(api: Api, answers: Sequence[Answered]) -> None:
    made = [work.Task.model_validate_json(a.body) for a in answers if a.kind == "create" and a.status == 201]
    waiting = iter(made)

    async def work_off() -> None:
        for task in waiting:
            await api.delete_task(task)

    await asyncio.gather(*(work_off() for _ in range(SWEEPERS)))


def figures(answers: Sequence[Answered], *, generator_cpu_s: float) -> list[Figure]:
    """From every request, also those that failed: who waits for an error waits too."""
    failed = open_loop.failures(answers)
    why = Counter(answer.failure or str(answer.status) for answer in failed)
    milliseconds = [answer.seconds * 1000 for answer in answers]
    what = f"{PER_SECOND} mixed requests/s"
    kinds = {
        kind: percentile([1000 * a.seconds for a in answers if a.kind == kind] or [0.0], 0.95) for kind in MIX
    }
    return [
        Figure(
            what=f"{what}, failed",
            measured=len(failed),
            unit="",
            target=0,
            detail=f"n={len(answers)}" + "".join(f", {n} × {reason}" for reason, n in why.most_common(3)),
        ),
        Figure(
            what=f"{what}, p50",
            measured=percentile(milliseconds, 0.5),
            unit="ms",
            detail="open loop, from when each was due",
        ),
        Figure(
            what=f"{what}, p95",
            measured=percentile(milliseconds, 0.95),
            unit="ms",
            target=TARGET_P95_MS,
            detail=", ".join(f"{kind} {ms:.0f}" for kind, ms in kinds.items()),
        ),
        Figure(
            what=f"{what}, p99",
            measured=percentile(milliseconds, 0.99),
            unit="ms",
            target=TARGET_P99_MS,
            detail=f"largest {max(milliseconds):.0f}",
        ),
        Figure(
            what=f"{what}, the generator's own CPU",
            measured=1e6 * generator_cpu_s / len(answers),
            unit="µs/request",
        ),
    ]
