"""What one authenticated read costs the live slot's process, beside a bare application on the same server."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from infra.client.failures import ClientError
from infra.client.session import Session
from infra.errors import GadError
from infra.operate.bench_figure import Figure
from infra.operate.outputs import StackOutputs
from infra.operate.users import Account

PORT = 8000  # the slot's own, inside its container
ROUNDS, TIMES, WARM_UP = 3, 3000, 500  # 3000 reads are about two seconds of processor, 200 clock ticks
TARGET_US = 700.0  # specified (product contract, section 15)
PROBE = Path(__file__).with_name("bench_cpu_probe.py")
LIMIT_S = 120
KINDS = ("tasks", "officers")


class Rounds(BaseModel):
    """Microseconds of a request in each round: the application's process, the bare one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    app: tuple[float, ...]
    bare: tuple[float, ...]


class _Item(BaseModel):
    uuid: str


class _Page(BaseModel):
    items: tuple[_Item, ...]


def measure(outputs: StackOutputs, authority: Path | None, account: Account) -> list[Figure]:
    """Read one task and one officer many times, inside the live slot's container. Raises GadError."""
    tls = ssl.create_default_context(cafile=str(authority)) if authority is not None else None
    try:
        token, paths = asyncio.run(_prepare(outputs.url, tls or ssl.create_default_context(), account))
    except (ClientError, httpx.HTTPError, ValidationError) as error:
        raise GadError(
            f"nothing to read was found: {error}", remedy="look at `gad status`, then measure again"
        ) from error
    found = []
    for kind, path in paths.items():
        headers = {"Host": outputs.site, "Authorization": f"Bearer {token}"}
        found += figures(f"GET /{kind}/{{id}}", _probe(outputs, path, headers))
    return found


async def _prepare(base_url: str, tls: ssl.SSLContext, account: Account) -> tuple[str, dict[str, str]]:
    """A token, and the path of one thing of each kind. Raises GadError if there is none."""
    paths: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=base_url, verify=tls, timeout=15.0) as client:
        token = await Session(client, account.email, lambda: account.password).sign_in()
        for kind in KINDS:
            path = f"/api/v1/{kind}"
            headers = {"Authorization": f"Bearer {token}"}
            response = await client.get(path, params={"limit": 1}, headers=headers)
            page = _Page.model_validate_json(response.raise_for_status().content)
            if not page.items:
                raise GadError(f"there are no {kind} to read", remedy="load a district with `gad demo`")
            paths[kind] = f"{path}/{page.items[0].uuid}"
    return token, paths


def script(asked: dict[str, object]) -> str:
    """The probe's whole text; the token is in it, and so in no argument that others could list."""
    return f"{PROBE.read_text(encoding='utf-8')}\nmain({json.dumps(asked)!r})\n"


def _probe(outputs: StackOutputs, path: str, headers: dict[str, str]) -> Rounds:
    container = outputs.containers[outputs.live].name
    asked = {"pid": None, "port": PORT, "path": path, "headers": headers}
    effort = {"rounds": ROUNDS, "times": TIMES, "warm_up": WARM_UP}
    done = subprocess.run(
        ["docker", "exec", "-i", container, "python", "-"],
        input=script({**asked, **effort}),
        text=True,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    try:
        return Rounds.model_validate_json(done.stdout)
    except ValidationError:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise GadError(
            f"{container} could not be measured: {lines[-1]}", remedy="look at `gad status`"
        ) from None


def figures(what: str, rounds: Rounds) -> list[Figure]:
    """The median of the rounds; the ratio says the same on a slow and a fast machine."""
    app, bare = median(rounds.app), median(rounds.bare)
    return [
        Figure(
            what=f"{what}, CPU of the API",
            measured=app,
            unit="µs",
            target=TARGET_US,
            detail=f"rounds {_shown(rounds.app)}",
        ),
        Figure(
            what=f"{what}, to a bare application",
            measured=app / bare,
            unit="×",
            detail=f"bare: {bare:.0f} µs, rounds {_shown(rounds.bare)}",
        ),
    ]


def _shown(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values)
