"""How late live events reach a thousand people: notices to all, over the proxy, each numbered and timed."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import httpx
import uvloop

from infra.client.failures import ClientError
from infra.client.session import Session
from infra.errors import GadError
from infra.operate.bench_figure import Figure
from infra.operate.open_loop import Target
from infra.operate.users import Account
from infra.operate.ws_load import LoadClient, Tally, open_clients

CLIENTS, PER_SECOND, SECONDS = 1000, 10, 20  # specified: 1,000 clients, 10 messages a second
TARGET_P95_MS = 100.0  # specified (product contract, section 15)
LAST_S = 5.0  # how long the last message may take before it counts as lost
NOTICES = "/api/v1/notifications"


def measure(base_url: str, authority: Path | None, account: Account) -> list[Figure]:
    """Open the sockets, send notices to all as `account`, count what came. Raises GadError."""
    try:
        # The clients share their processors with the stack: what they need, the stack lacks.
        return uvloop.run(_measure(base_url, authority, account))
    except (ClientError, OSError, TimeoutError, httpx.TransportError) as error:
        raise GadError(
            f"the sockets of {base_url} were not served: {error}", remedy="look at `gad status`"
        ) from error


async def _measure(base_url: str, authority: Path | None, account: Account) -> list[Figure]:
    tls = _trusting(authority)
    Target.parse(base_url, tls)  # this machine alone
    tally, sent = Tally(), PER_SECOND * SECONDS
    async with httpx.AsyncClient(base_url=base_url, verify=tls or True, timeout=15.0) as client:
        token = await Session(client, account.email, lambda: account.password).sign_in()
    clients = [LoadClient(tally, token, ["alerts"]) for _ in range(CLIENTS)]
    # Of another process, as whoever sends is none of those who hear: a thousand clients keep their loop busy.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as sender:
        try:
            await open_clients(clients, base_url, tls=tls)
            orders = base_url, authority, token, sent, PER_SECOND
            refused = await asyncio.get_running_loop().run_in_executor(sender, send, *orders)
            if refused is not None:
                raise GadError(f"{NOTICES} answered {refused}", remedy="look at the API's log")
            until = time.monotonic() + LAST_S
            while tally.received < sent * CLIENTS and time.monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        finally:
            for each in clients:
                each.drop()
    return figures(tally, sent=sent, clients=CLIENTS)


def send(base_url: str, authority: Path | None, token: str, count: int, per_second: int) -> int | None:
    """Send notices to all, numbered and timed; the status of one that was refused. Raises OSError."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=base_url, verify=_trusting(authority) or True, timeout=15.0) as client:
        client.get("/health/live")  # the connection is there before the first is timed
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            body = {"all": True, "text": f"n={number} sent={time.time():.6f}"}
            # In turn, as clients count by number.
            status = client.post(NOTICES, json=body, headers=headers).status_code
            if status != httpx.codes.ACCEPTED:
                return status
    return None


def _trusting(authority: Path | None) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=str(authority)) if authority is not None else None


def figures(tally: Tally, *, sent: int, clients: int) -> list[Figure]:
    """From what all clients saw together. Pure."""
    what = f"{clients:,} sockets, {PER_SECOND} messages/s"
    detail = f"{tally.received:,} of {sent * clients:,} received, {tally.doubled} twice"
    missing: Sequence[int] = (max(0, sent * clients - tally.received), tally.doubled)
    return [
        Figure(what=f"{what}, lost or twice", measured=sum(missing), unit="", target=0, detail=detail),
        Figure(
            what=f"{what}, p95 from sending to hearing",
            measured=tally.delay_ms(0.95) if tally.delays_s else 1000 * LAST_S,
            unit="ms",
            target=TARGET_P95_MS,
        ),
    ]
