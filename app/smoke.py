"""`python -m app.smoke [--within SECONDS]`: whether this container's API works, asked as a person asks it.

It runs beside the API in its container (`docker exec`), in or out of rotation, and takes its settings. It
makes an account for itself and removes it again. On stdout one JSON object says which checks were made, in
their order; they end with the first that fails, which stderr names with a remedy.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import DBAPIError

from app import __version__, logs
from app.command import one_connection
from app.errors import Problem, StartError
from app.settings import Settings, load
from app.smoke_account import SmokeAccount
from app.smoke_visit import Failed, Visit
from app.user.vault import Vault

WITHIN_S = 10.0  # chosen: a run takes about one; a release waits no longer for a slot that hangs
LONGEST_S = 300.0
REMOVAL = 0.2  # chosen: the share of the time that is kept for removing the account, whatever happened
FAILED, USAGE, STOPPED = 1, 2, 130  # exit codes, as in every command of the project

_LOG = "look the request up in the container's log"


class Check(BaseModel):
    """One check. `ms`: what it took; `reason`: why it failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    ok: bool
    ms: float
    reason: str | None = None


class Report(BaseModel):
    """What was asked, in order. `removal` is among it only if the account could not be removed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ok: bool
    version: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Step:
    """A check's name, what it does, and what to do when it fails and does not say so itself."""

    name: str
    run: Callable[[Visit], Awaitable[None]]
    remedy: str


STEPS = (
    Step("live", Visit.live, "look at the container's log: the API must listen on GAD_PORT"),
    Step("database", Visit.database, "start PostgreSQL, or correct GAD_DATABASE_URL"),
    Step("schema", Visit.schema, "bring the schema to this version: `python -m app.migrate upgrade`"),
    Step("redis", Visit.redis, "start Redis, or correct GAD_REDIS_URL"),
    Step("postgis", Visit.postgis, "create the extension postgis in the database"),
    Step("login", Visit.login, _LOG),
    Step("me", Visit.me, _LOG),
    Step("websocket", Visit.websocket, _LOG),
    Step("logout", Visit.logout, _LOG),
)
REMOVE = Step("removal", Visit.leave, "nothing: a run that comes an hour later removes the account")


@dataclass(frozen=True)
class Outcome:
    """What a run found; the remedy for its first failure; whether a signal ended it."""

    checks: tuple[Check, ...]
    remedy: str | None = None
    is_stopped: bool = False

    def report(self) -> Report:
        """What is printed."""
        return Report(ok=all(check.ok for check in self.checks), version=__version__, checks=self.checks)


async def smoke(settings: Settings, within_s: float) -> Outcome:
    """Make every check and remove the account again, within `within_s` seconds.

    A signal ends the checks; the account is removed then too.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    vault = Vault(kek=settings.kek.get_secret_value(), hmac_key=settings.hmac_key.get_secret_value())
    async with one_connection(settings, "gad-smoke") as database:
        account = SmokeAccount(database, vault)
        visit = Visit(settings, account)
        visiting = asyncio.create_task(_make_all(visit, until - REMOVAL * within_s))
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, visiting.cancel)
        try:
            found = await visiting
        finally:
            removal, remedy = await _make(REMOVE, visit, until)
    if removal.ok:
        return found
    return Outcome((*found.checks, removal), found.remedy or remedy, found.is_stopped)


async def _make_all(visit: Visit, until: float) -> Outcome:
    checks: list[Check] = []
    for step in STEPS:
        began = time.perf_counter()
        try:
            check, remedy = await _make(step, visit, until)
        except asyncio.CancelledError:  # by a signal, and nobody else
            stopped = Check(name=step.name, ok=False, ms=_ms_since(began), reason="stopped by a signal")
            return Outcome((*checks, stopped), "run it again", is_stopped=True)
        checks.append(check)
        if not check.ok:
            return Outcome(tuple(checks), remedy)
    return Outcome(tuple(checks))


async def _make(step: Step, visit: Visit, until: float) -> tuple[Check, str]:
    """One check, and the remedy if it failed."""
    began, reason, remedy = time.perf_counter(), None, step.remedy
    try:
        async with asyncio.timeout_at(until):
            await step.run(visit)
    except TimeoutError:
        reason, remedy = "no answer in time", f"{step.remedy}; or give it more time with --within"
    except Failed as failed:
        reason, remedy = failed.reason, failed.remedy or step.remedy
    except Problem as problem:
        reason = f"the account can not be written ({problem.code})"
    except (DBAPIError, asyncpg.PostgresError) as error:
        reason, remedy = f"PostgreSQL refuses a row: {_said(error)}", "release code that fits this schema"
    return Check(name=step.name, ok=reason is None, ms=_ms_since(began), reason=reason), remedy


def _said(error: DBAPIError | asyncpg.PostgresError) -> str:
    """The server's sentence without its details, which hold the row."""
    cause = getattr(error.orig, "__cause__", None) if isinstance(error, DBAPIError) else error
    words = str(getattr(cause, "message", None) or type(cause).__name__)
    return words.splitlines()[0][:200]


def _ms_since(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 1)


def _seconds(given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"seconds, above 0 and up to {LONGEST_S:g}")
    return seconds


def main(arguments: list[str]) -> int:
    """Exit code 0 all is well, 1 a check failed, 2 usage or settings, 130 stopped by a signal."""
    parser = argparse.ArgumentParser(
        prog="python -m app.smoke",
        description="Asks the API of this container as a person would, with an account made for it.",
        epilog="Example: docker exec gad-dev-api-blue python -m app.smoke",
    )
    parser.add_argument(
        "--within",
        type=_seconds,
        default=WITHIN_S,
        metavar="SECONDS",
        help=f"for the whole run, {WITHIN_S:g} by default",
    )
    within_s = parser.parse_args(arguments).within
    try:
        settings = load(Settings)
    except StartError as error:
        print(error, file=sys.stderr)
        return USAGE
    logs.configure("ERROR", stream=sys.stderr)
    outcome = asyncio.run(smoke(settings, within_s))
    print(outcome.report().model_dump_json(exclude_none=True))
    first = next((check for check in outcome.checks if not check.ok), None)
    if first is None:
        return 0
    print(f"error: {first.name}: {first.reason}\nremedy: {outcome.remedy}", file=sys.stderr)
    return STOPPED if outcome.is_stopped else FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
