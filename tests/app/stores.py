"""The project's own PostgreSQL and Redis images in containers of this test run, on free loopback ports."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import docker
import docker.errors
from docker.models.containers import Container

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
LOCK = ROOT / ".gad" / "images.lock.json"
REDIS_RIGHTS = "~gad:* &gad:* +@all -@admin -@dangerous +info"  # as the stack gives them
UP_S = 60  # a first start of PostgreSQL takes about 5 s on two idle cores


def image(name: str) -> str:
    """The id of an image of the catalogue, as `gad images build` left it on this machine."""
    if not LOCK.exists():
        raise RuntimeError(f"{LOCK} is missing: run `gad images build` first")
    entries = json.loads(LOCK.read_text())["images"]
    return str(next(entry["image_id"] for entry in entries if entry["name"] == name))


def wait_for(is_true: Callable[[], bool], what: str, *, within_s: float = UP_S) -> float:
    """Seconds until the condition held; fails by name when it does not."""
    began = time.monotonic()
    while not is_true():
        if time.monotonic() - began > within_s:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - began


@dataclass(frozen=True)
class Stores:
    """Where the two stores are, and what opens them."""

    postgres: Container
    redis: Container
    postgres_port: int
    redis_port: int
    password: dict[str, str]

    def dsn(self, role: str = "gad_app", database: str = "gad") -> str:
        return f"postgresql://{role}:{self.password[role]}@127.0.0.1:{self.postgres_port}/{database}"

    @property
    def redis_url(self) -> str:
        return f"redis://gad:{self.password['redis']}@127.0.0.1:{self.redis_port}/0"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """As superuser, outside of a transaction."""

        async def run() -> None:
            connection = await asyncpg.connect(self.dsn("postgres", database))
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())

    async def fetch(self, statement: str, *arguments: object, database: str = "gad") -> list[tuple[Any, ...]]:
        """Rows as the superuser gets them; JSON is read."""
        connection = await asyncpg.connect(self.dsn("postgres", database))
        try:
            await connection.set_type_codec(
                "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
            )
            return [tuple(row) for row in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()

    def stamp(self, table: str, column: str, uuid: str) -> None:
        """Set a moment of one row of `gad` to now, as parts of the product do that are not built yet."""
        statement = f"UPDATE {table} SET {column} = now() WHERE uuid = '{UUID(uuid)}'"  # noqa: S608
        self.execute(statement, database="gad")

    def postgres_answers(self) -> bool:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            self.execute("SELECT 1", database="gad")
            return True
        return False

    def redis_answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.redis_port), timeout=1) as line:
            line.sendall(b"PING\r\n")
            return bool(line.recv(16))
        return False


async def rows(stores: Stores, sql: str, *values: object, database: str = "gad") -> list[asyncpg.Record]:
    """As the application sees them."""
    connection = await asyncpg.connect(stores.dsn("gad_app", database))
    try:
        return await connection.fetch(sql, *values)
    finally:
        await connection.close()


OWNER = "gad.test-app-pid"


def sweep(engine: docker.DockerClient) -> None:
    """Remove what a killed run left behind: containers whose process is gone."""
    for container in engine.containers.list(all=True, filters={"label": OWNER}):
        if not Path(f"/proc/{container.labels[OWNER]}").exists():
            with suppress(docker.errors.APIError):  # another run sweeps at the same time
                container.remove(force=True, v=True)


@contextmanager
def running_stores(scratch: Path) -> Iterator[Stores]:
    """Both containers, removed with their data afterwards."""
    engine = docker.from_env()
    sweep(engine)
    tag = secrets.token_hex(4)
    labels = {OWNER: str(os.getpid())}
    password = {role: secrets.token_urlsafe(24) for role in ("postgres", "gad_owner", "gad_app", "redis")}
    files = {
        "pg/superuser_password": password["postgres"],
        "pg/owner_password": password["gad_owner"],
        "pg/app_password": password["gad_app"],
        "redis/users.acl": f"user default off\nuser gad on >{password['redis']} {REDIS_RIGHTS}\n",
        "conf/redis.conf": 'bind * -::*\nport 6379\nprotected-mode no\nsave ""\n'
        "aclfile /run/gad/secrets/users.acl\n",
    }
    for name, content in files.items():
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o644)  # the container's user reads it; the directory above is the test run's own
    scratch.chmod(0o755)
    ports = free_port(), free_port()
    containers: list[Container] = []
    try:
        containers.append(
            engine.containers.run(
                image("postgres"),
                ["-c", "fsync=off", "-c", "max_connections=60", "-c", "listen_addresses=*"],
                name=f"gad-test-app-postgres-{tag}",
                detach=True,
                labels=labels,
                ports={"5432/tcp": ("127.0.0.1", ports[0])},
                volumes={str(scratch / "pg"): {"bind": "/run/gad/secrets", "mode": "ro"}},
                tmpfs={"/run/postgresql": "uid=10070,gid=10070", "/tmp": ""},  # noqa: S108
                read_only=True,
            )
        )
        containers.append(
            engine.containers.run(
                image("redis"),
                name=f"gad-test-app-redis-{tag}",
                detach=True,
                labels=labels,
                ports={"6379/tcp": ("127.0.0.1", ports[1])},
                volumes={
                    str(scratch / "redis"): {"bind": "/run/gad/secrets", "mode": "ro"},
                    str(scratch / "conf"): {"bind": "/etc/gad/redis", "mode": "ro"},
                },
                read_only=True,
            )
        )
        stores = Stores(containers[0], containers[1], *ports, password)
        wait_for(stores.postgres_answers, "PostgreSQL answers")
        wait_for(stores.redis_answers, "Redis answers")
        yield stores
    finally:
        for container in containers:
            with suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
        engine.close()
