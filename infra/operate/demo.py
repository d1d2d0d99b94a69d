"""Writes the district through the HTTP API, as an administrator would.

It may be interrupted and run again at any time: officers that exist already are left alone.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from infra.errors import GadError
from infra.operate.district import COUNT, SEED, DemoOfficer, district

CONCURRENCY = 16  # chosen: three times a slot's database pool, so that the pool is never idle
ATTEMPTS = 8  # chosen: rides out a restart of the database or a release
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 30.0  # a server that asks for more is not busy but down
LIMITS = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
REQUEST_S = 15.0  # longer than the API's own waits (2 s for a connection, 5 s for a statement) together
PAGE = 100  # the API's largest

LOGIN, OFFICERS = "/api/v1/auth/login", "/api/v1/officers"


@dataclass(frozen=True)
class Summary:
    """What a load did."""

    created: int
    present: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Officers created each second."""
        return self.created / self.seconds if self.seconds else 0.0


class _Answer(BaseModel):
    # The API may grow further members; the demo needs these alone.
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Token(_Answer):
    access_token: str


Expected = TypeVar("Expected", bound=_Answer)


class _Problem(_Answer):
    code: str
    detail: str


class _Listed(_Answer):
    internal_code: str


class _Page(_Answer):
    items: list[_Listed]
    next_cursor: str | None


def load(
    base_url: str,
    ca_file: Path | None,
    *,
    email: str,
    password: Callable[[], str],
    count: int = COUNT,
    seed: int = SEED,
    console: Console | None = None,
) -> Summary:
    """Write the district through the API at `base_url` as the administrator `email`.

    `ca_file`: the certificate authority to trust instead of the system's. `password` is asked at each login.
    Creates nothing that exists. Raises GadError if the API refuses, or does not answer for a long while.
    """
    with _progress(console or Console(stderr=True), count) as show:
        verify = ssl.create_default_context(cafile=str(ca_file)) if ca_file is not None else True
        client = httpx.AsyncClient(base_url=base_url, verify=verify, limits=LIMITS, timeout=REQUEST_S)
        return asyncio.run(_load(_Api(client, email, password), count, seed, show))


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


async def _load(api: _Api, count: int, seed: int, show: Callable[[Summary], None]) -> Summary:
    async with api.client:
        known = await api.internal_codes()
        began = time.monotonic()
        missing = [officer for officer in district(count, seed) if officer.internal_code not in known]
        created, present = 0, count - len(missing)
        waiting = iter(missing)  # shared: each worker takes the next

        async def work() -> None:
            nonlocal created, present
            for officer in waiting:
                if await api.create(officer):
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
        return summary


@dataclass
class _Api:
    """The few calls of the API that a district needs; each waits and repeats while the server is busy."""

    client: httpx.AsyncClient
    email: str
    password: Callable[[], str]
    _token: str = ""
    _login: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def create(self, officer: DemoOfficer) -> bool:
        """Whether it was created; False if it exists already."""
        response = await self._call("POST", OFFICERS, officer.body(datetime.now(UTC)))
        if response.status_code == httpx.codes.CREATED:
            return True
        if response.status_code == httpx.codes.CONFLICT and _problem(response).code == "internal_code_taken":
            return False
        raise _refusal(response, f"creating officer {officer.internal_code}")

    async def internal_codes(self) -> frozenset[str]:
        """Of every officer there is."""
        found: set[str] = set()
        cursor: str | None = None
        while True:
            query = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
            response = await self._call("GET", str(httpx.URL(OFFICERS, params=query)), None)
            if response.status_code != httpx.codes.OK:
                raise _refusal(response, "listing officers")
            page = _read(_Page, response)
            found.update(item.internal_code for item in page.items)
            cursor = page.next_cursor
            if cursor is None:
                return frozenset(found)

    async def _call(self, method: str, url: str, body: bytes | None) -> httpx.Response:
        token = self._token or await self._renew("")
        response = await self._send(method, url, body, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:  # tokens last 15 minutes
            response = await self._send(method, url, body, await self._renew(token))
        return response

    async def _renew(self, stale: str) -> str:
        async with self._login:
            if self._token == stale:  # else another worker was quicker
                credentials = httpx.Request(
                    "POST", LOGIN, json={"email": self.email, "password": self.password()}
                )
                response = await self._send("POST", LOGIN, credentials.content, "")
                if response.status_code != httpx.codes.OK:
                    raise _refusal(response, f"logging in as {self.email}")
                self._token = _read(_Token, response).access_token
            return self._token

    async def _send(self, method: str, url: str, body: bytes | None, token: str) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        failure = "no answer"
        for attempt in range(ATTEMPTS):
            wait = FIRST_WAIT_S * 2**attempt
            try:
                response = await self.client.request(method, url, content=body, headers=headers)
            except httpx.TransportError as error:
                failure = f"{type(error).__name__}: {error}"
            else:
                if response.status_code not in {429, 502, 503, 504}:
                    return response
                failure = f"{response.status_code} {response.reason_phrase}"
                asked = response.headers.get("retry-after", "")
                wait = max(wait, float(asked)) if asked.isdigit() else wait
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(min(wait, LONGEST_WAIT_S))
        raise GadError(
            f"{self.client.base_url} did not serve {method} {url} in {ATTEMPTS} attempts ({failure})",
            remedy="look at `gad status`, then run it again: it goes on where it stopped",
        )


def _read(model: type[Expected], response: httpx.Response) -> Expected:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise GadError(
            f"{response.request.url} answered something else than expected",
            remedy="check that the address is GRUPO_GAD's and of this version",
        ) from error


def _problem(response: httpx.Response) -> _Problem:
    return _read(_Problem, response)


def _refusal(response: httpx.Response, doing: str) -> GadError:
    problem = _problem(response)
    remedy = {
        401: "give an administrator's e-mail and password",
        403: "give the account of an administrator (level 3)",
        409: "another person or officer has the same e-mail or document: use another seed",
    }.get(response.status_code, "look at the API's log under the answer's X-Request-ID")
    return GadError(
        f"{doing} was refused: {response.status_code} {problem.code} ({problem.detail})", remedy=remedy
    )
