"""PostgreSQL with TLS as a stack configures it: who gets in, who does not, and what each is told."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

import asyncpg
import docker
import pytest
from docker.models.containers import Container
from sqlalchemy import text

from app import migrate
from app.db import Database, Read
from app.errors import StartError, Unavailable
from app.health.checks import DatabaseProbe
from app.settings import PoolSize
from infra import render
from infra.image_lock import read_lock
from infra.tls_pair import make_pair
from tests.ports import free_port

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0  # a first start of PostgreSQL takes 2 s alone (measured); the machine is shared
NAME = "localhost"  # the test's own name for it; in a stack it is postgres
SESSION = Read(text("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))


def write(folder: Path, files: dict[str, str]) -> Path:
    """A directory as a container mounts it: closed above, readable in it."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o444)
    folder.chmod(0o755)
    return folder


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL that wants TLS, and the certificate it shows."""

    container: Container
    port: int
    password: dict[str, str]
    certificate: Path

    def url(self, role: str, query: str, *, host: str = NAME) -> str:
        return f"postgresql://{role}:{self.password[role]}@{host}:{self.port}/gad?{query}"

    def verified(self, role: str = "gad_app", *, host: str = NAME, trust: Path | None = None) -> str:
        """As a stack writes it."""
        query = f"sslmode=verify-full&sslrootcert={trust or self.certificate}"
        return self.url(role, query, host=host)

    def answers(self) -> bool:
        """Asked from inside: a driver that is cut off in the middle of TLS leaves its socket open."""
        code, _ = self.container.exec_run(["pg_isready", "-q", "-h", "127.0.0.1"])
        return bool(code == 0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    pair = make_pair(NAME, at=datetime.now(UTC))
    roles = {"superuser": "postgres", "owner": "gad_owner", "app": "gad_app"}
    password = {role: secrets.token_urlsafe(24) for role in roles.values()}
    given = write(
        folder / "secrets",
        {f"{name}_password": password[role] for name, role in roles.items()}
        | {"server.key": pair.key, "server.crt": pair.certificate},
    )
    rendered = render.postgres_files(
        memory_mib=512,
        max_connections=20,
        subnet=IPv4Network("0.0.0.0/0"),  # the test comes from the engine's gateway
        roles=("gad_owner", "gad_app"),
        tls=True,
    )
    config = write(folder / "config", {file.path: file.text for file in rendered})
    trusted = write(folder / "trusted", {"postgres_ca.crt": pair.certificate})
    port = free_port()
    client = docker.from_env()
    container = client.containers.run(
        read_lock(ROOT).require("postgres").image_id,
        name=f"gad-test-tls-{secrets.token_hex(4)}",
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        tmpfs={"/run/postgresql": "mode=0700,uid=10070,gid=10070", "/tmp": ""},  # noqa: S108
        volumes=[f"{given}:/run/gad/secrets:ro", f"{config}:/etc/gad/postgres:ro"],
        ports={"5432/tcp": ("127.0.0.1", port)},
    )
    try:
        made = Server(container, port, password, trusted / "postgres_ca.crt")
        deadline = time.monotonic() + DEADLINE_S
        while not made.answers():
            assert time.monotonic() < deadline, container.logs(tail=20).decode()
            time.sleep(0.1)
        yield made
    finally:
        container.remove(force=True, v=True)
        client.close()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the same name, of another server."""
    other = make_pair(NAME, at=datetime.now(UTC))
    return write(tmp_path_factory.mktemp("other") / "trusted", {"ca.crt": other.certificate}) / "ca.crt"


async def sessions(url: str) -> list[tuple[object, ...]]:
    """Whether, and how, the pool's and the probe's own connection are encrypted."""
    database = Database(url, pool=PoolSize(1, 0), wait_s=2, statement_ms=2000, name="gad-test-tls")
    probe = DatabaseProbe(url, name="gad-test-tls-probe")
    try:
        return [tuple(row) for row in (*await database.rows(SESSION), *await probe.ask(SESSION.sql))]
    finally:
        await database.close()
        await probe.close()


def test_the_application_is_encrypted(server: Server) -> None:
    assert asyncio.run(sessions(server.verified())) == [(True, "TLSv1.3"), (True, "TLSv1.3")]


def test_migrations_are_encrypted(server: Server) -> None:
    """By the program's own way in; it then sees an empty schema."""
    done = asyncio.run(migrate.run(server.verified("gad_owner"), migrate.show_current))
    assert done == f"schema is at base, this code is at {migrate.head()}"


def test_the_key_is_a_file_that_only_the_server_reads(server: Server) -> None:
    _, output = server.container.exec_run(["stat", "-c", "%a %u %F", "/run/postgresql/server.key"])
    assert output.decode() == "600 10070 regular file\n"


@pytest.mark.parametrize("role", ["gad_app", "gad_owner"])
def test_clear_text_is_refused(server: Server, role: str) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        asyncio.run(asyncpg.connect(server.url(role, "sslmode=disable")))


def test_an_old_protocol_is_refused(server: Server) -> None:
    url = server.url("gad_app", "sslmode=require&ssl_max_protocol_version=TLSv1.2")
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        asyncio.run(asyncpg.connect(url))


def test_another_servers_certificate_is_not_trusted(server: Server, stranger: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        asyncio.run(asyncpg.connect(server.verified(trust=stranger)))
    with pytest.raises(Unavailable):
        asyncio.run(sessions(server.verified(trust=stranger)))
    with pytest.raises(StartError, match="PostgreSQL's certificate is refused: self-signed certificate"):
        asyncio.run(migrate.run(server.verified("gad_owner", trust=stranger), migrate.show_current))


def test_another_name_is_not_trusted(server: Server) -> None:
    """The same server and certificate, by a name that the certificate does not have."""
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        asyncio.run(asyncpg.connect(server.verified(host="127.0.0.1")))
    with pytest.raises(StartError, match="PostgreSQL's certificate is refused: IP address mismatch"):
        asyncio.run(migrate.run(server.verified("gad_owner", host="127.0.0.1"), migrate.show_current))


def test_a_missing_authority_is_no_way_around(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(asyncpg.connect(server.verified(trust=tmp_path / "absent.crt")))


def test_a_key_without_its_certificate_stops_the_start(server: Server, tmp_path: Path) -> None:
    pair = make_pair(NAME, at=datetime.now(UTC))
    passwords = dict.fromkeys(("superuser_password", "owner_password", "app_password"), "x" * 32)
    given = write(tmp_path / "secrets", {**passwords, "server.key": pair.key})
    client = docker.from_env()
    try:
        container = client.containers.run(
            server.container.image.id,
            name=f"gad-test-tls-{secrets.token_hex(4)}",
            detach=True,
            tmpfs={"/run/postgresql": "mode=0700,uid=10070,gid=10070"},
            volumes=[f"{given}:/run/gad/secrets:ro"],
        )
        try:
            assert container.wait(timeout=DEADLINE_S)["StatusCode"] == 78
            assert "server.crt is missing or empty" in container.logs().decode()
        finally:
            container.remove(force=True, v=True)
    finally:
        client.close()
