"""Real stores for every test of the application; the process itself runs in the test's own loop."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from bodies import HOST, ORIGIN, Caller, Callers, Token, bearer, new_caller
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from stores import Stores, running_stores

from app import migrate
from app.limits import RateClass
from app.main import Process, build
from app.settings import Settings
from app.user.models import Level

# Deadlines would time the machine, not the code; random seeds would make a failure unrepeatable.
hypothesis_settings.register_profile(
    "gad", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
hypothesis_settings.load_profile("gad")


def run_migrate(stores: Stores, database: str, command: str) -> str:
    """What `python -m app.migrate` prints, run in this process."""
    work = migrate.COMMANDS[command]
    return asyncio.run(migrate.run(stores.dsn("gad_owner", database), work))


@pytest.fixture(scope="session")
def stores() -> Iterator[Stores]:
    """PostgreSQL with an empty `gad` cloned to `gad_empty`, then `gad` at head; and Redis."""
    with (
        tempfile.TemporaryDirectory(prefix="gad-test-app-") as scratch,
        running_stores(Path(scratch)) as found,
    ):
        found.execute("CREATE DATABASE gad_empty OWNER gad_owner TEMPLATE gad")
        run_migrate(found, "gad", "upgrade")
        found.execute("CREATE DATABASE gad_head OWNER gad_owner TEMPLATE gad")
        yield found


@pytest.fixture(scope="session")
def new_database(stores: Stores) -> Iterator[Callable[[str], str]]:
    """Makes databases from a template (gad_empty, gad_head); they go at the end of the run."""
    made: list[str] = []

    def make(template: str) -> str:
        name = f"gad_{secrets.token_hex(4)}"
        stores.execute(f"CREATE DATABASE {name} OWNER gad_owner TEMPLATE {template}")
        made.append(name)
        return name

    yield make
    stores.execute(*(f"DROP DATABASE {name} WITH (FORCE)" for name in made))


def settings_for(stores: Stores, **changes: object) -> Settings:
    """What a process of the tests is told."""
    values: dict[str, object] = {
        "env": "test",
        "database_url": stores.dsn(),
        "redis_url": stores.redis_url,
        "jwt_secret": secrets.token_urlsafe(48),
        "jwt_previous": secrets.token_urlsafe(48),
        "hmac_key": secrets.token_urlsafe(48),
        "kek": secrets.token_urlsafe(48),
        "jwt_issuer": ORIGIN,
        "jwt_audience": "gad-test",
        "allowed_hosts": (HOST,),
        "allowed_origins": (ORIGIN,),
        "slot": "blue",
        # One address and few people make all requests of a run; test_limits.py asks for the real ones.
        **{f"rate_{rate}": 1_000_000 for rate in RateClass},
        **changes,
    }
    return Settings(**values)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def settings(stores: Stores) -> Settings:
    return settings_for(stores)


@pytest.fixture(scope="session")
async def process(settings: Settings) -> AsyncIterator[Process]:
    made = build(settings)
    yield made
    await made.close()


@pytest.fixture
async def client(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=process.public, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as made:
        yield made


@pytest.fixture(scope="session")
async def persons(process: Process) -> dict[int, Caller]:
    """One stored person of each level, with a session that lasts the whole run."""
    return {int(level): await new_caller(process, int(level)) for level in Level}


@pytest.fixture
def token(process: Process, persons: dict[int, Caller], stores: Stores) -> Token:
    """Headers of a caller of a level: the run's own person, or a stored one of that level if given."""

    def make(level: int, user: UUID | str | None = None) -> dict[str, str]:
        if user is None:
            # A token lasts 15 minutes, a run longer.
            return bearer(process, level, UUID(persons[level].user), persons[level].session)
        uuid, session = UUID(str(user)), uuid4()
        # Not awaited, as callers want a value: another thread and connection do it meanwhile.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _open_session(stores, uuid, session)).result()
        return bearer(process, level, uuid, session)

    return make


async def _open_session(stores: Stores, user: UUID, session: UUID) -> None:
    connection = await asyncpg.connect(stores.dsn())
    try:
        await connection.execute(
            "INSERT INTO sessions (uuid, user_id, expires_at)"
            " SELECT $1, id, now() + interval '30 days' FROM users WHERE uuid = $2",
            session,
            user,
        )
    finally:
        await connection.close()


@pytest.fixture
def caller(process: Process) -> Callers:
    """Makes a stored person of a level with a session of their own; `is_officer=True` an officer too."""
    return partial(new_caller, process)
