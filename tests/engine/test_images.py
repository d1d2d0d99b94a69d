"""The real images on the real engine: what they are made of, and how they behave as the stack runs them."""

from __future__ import annotations

import base64
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from docker.models.volumes import Volume

from infra.errors import GadError
from infra.image_lock import LockedImage
from infra.operate.images.build import build_images
from infra.operate.images.catalogue import Image, load_catalogue
from infra.operate.images.engine import connect
from infra.operate.images.inputs import InputFile
from infra.operate.images.progress import reporting
from infra.operate.images.push import push
from infra.operate.images.recipe import Recipe, build
from infra.operate.images.registry import Registry, ensure_running, local_registry
from tests.ports import free_port

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parents[2]
IMAGES = load_catalogue(ROOT).images
# The base is a layer and a lab is a machine (tests/engine/lab): no services.
SERVICES = [name for name in IMAGES if name not in ("base", "lab")]
DEADLINE_S = 60.0  # a first start of PostgreSQL takes 2 s alone (measured); the machine is shared


@pytest.fixture(scope="module")
def built() -> dict[str, LockedImage]:
    with reporting() as reporter:
        return {entry.name: entry for entry in build_images(ROOT, reporter)}


@dataclass
class Engine:
    """The engine, and all that the tests made on it."""

    client: docker.DockerClient
    images: dict[str, LockedImage]
    prefix: str = field(default_factory=lambda: f"gad-test-images-{uuid.uuid4().hex[:8]}")
    containers: list[Container] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)

    def volume(self) -> str:
        made = self.client.volumes.create(f"{self.prefix}-{len(self.volumes)}")
        self.volumes.append(made)
        return str(made.name)

    def start(
        self, image: str, *command: str, mounts: dict[str, str] | None = None, **options: Any
    ) -> Container:
        """As the stack does it: read-only root, no capability, no new privileges, the image's own user."""
        binds = [f"{source}:{target}" for source, target in (mounts or {}).items()]
        made = self.client.containers.run(
            self.images[image].digest,
            list(command) or None,
            name=f"{self.prefix}-{len(self.containers)}",
            detach=True,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            tmpfs={"/tmp": "size=64m,mode=1777", **options.pop("tmpfs", {})},  # noqa: S108
            volumes=binds,
            **options,
        )
        self.containers.append(made)
        return made

    def close(self) -> None:
        for container in self.containers:
            container.remove(force=True, v=True)
        for volume in self.volumes:
            volume.remove(force=True)
        self.client.close()


@pytest.fixture(scope="module")
def shared_engine(built: dict[str, LockedImage]) -> Iterator[Engine]:
    made = Engine(connect(), built)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def engine(built: dict[str, LockedImage]) -> Iterator[Engine]:
    made = Engine(connect(), built)
    try:
        yield made
    finally:
        made.close()


def until(condition: Callable[[], bool], container: Container) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        container.reload()
        assert container.status != "exited", container.logs(tail=20).decode()
        assert time.monotonic() < deadline, container.logs(tail=20).decode()
        time.sleep(0.1)


def probe(container: Container) -> bool:
    """The image's own health check, asked now instead of at the engine's next round."""
    container.reload()
    command = container.attrs["Config"]["Healthcheck"]["Test"]
    return container.status == "running" and container.exec_run(command[1:]).exit_code == 0


def wait_healthy(container: Container) -> None:
    until(lambda: probe(container), container)


def wait_exit(container: Container) -> int:
    return int(container.wait(timeout=DEADLINE_S)["StatusCode"])


# --- what the images are ---


def test_the_registry_holds_every_digest_of_the_lock(built: dict[str, LockedImage]) -> None:
    assert list(built) == list(IMAGES)
    assert local_registry().missing([entry.digest for entry in built.values()]) == set()


def test_the_registry_does_not_hold_what_was_never_pushed(built: dict[str, LockedImage]) -> None:
    absent = built["app"].digest[:-8] + "00000000"
    assert local_registry().missing([absent]) == {absent}


@pytest.mark.parametrize("image", [IMAGES[name] for name in SERVICES], ids=SERVICES)
def test_an_image_runs_as_its_own_number_and_can_be_probed(engine: Engine, image: Image) -> None:
    config = engine.client.images.get(engine.images[image.name].digest).attrs["Config"]
    assert config["User"] == f"{image.uid}:{image.uid}"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert sorted({int(port.split("/")[0]) for port in config["ExposedPorts"]}) == sorted(image.ports)


@pytest.mark.parametrize("name", SERVICES)
def test_no_file_of_an_image_grants_privileges(engine: Engine, name: str) -> None:
    container = engine.start(name, "/", "-xdev", "-perm", "/6000", "-type", "f", entrypoint=["find"])
    assert wait_exit(container) in (0, 1)  # 1: a directory that only root may read
    assert container.logs(stderr=False).decode() == ""


@pytest.mark.parametrize(
    ("name", "signal"),
    [("postgres", "SIGINT"), ("redis", "SIGTERM"), ("caddy", "SIGTERM"), ("app", "SIGTERM")],
)
def test_the_stop_signal_is_the_graceful_one(engine: Engine, name: str, signal: str) -> None:
    config = engine.client.images.get(engine.images[name].digest).attrs["Config"]
    assert config["StopSignal"] == signal


def test_a_second_build_changes_nothing(built: dict[str, LockedImage]) -> None:
    with reporting() as reporter:
        assert {entry.name: entry for entry in build_images(ROOT, reporter)} == built


# --- how they start ---

CONFIGURED = {
    "prometheus": ("prometheus/prometheus.yml", "global: {}\n"),
    "alertmanager": ("alertmanager/alertmanager.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n"),
    "blackbox-exporter": ("blackbox/blackbox.yml", "modules: {http: {prober: http}}\n"),
}


def configuration(folder: Path, name: str) -> dict[str, str]:
    path, text = CONFIGURED.get(name, ("nothing/empty", ""))
    file = folder / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.parent.chmod(0o755)
    return {str(file.parent): f"/etc/gad/{file.parent.name}:ro"}


@pytest.mark.parametrize("name", [n for n in SERVICES if n not in ("postgres", "app")])
def test_a_service_starts_on_a_read_only_root_and_its_probe_finds_it(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    options = {"environment": {"DATA_SOURCE_NAME": "postgresql://nobody@127.0.0.1/none"}}
    wait_healthy(engine.start(name, mounts=configuration(tmp_path, name), **options))


def test_a_probe_fails_when_nobody_answers(engine: Engine) -> None:
    container = engine.start("caddy", "60", entrypoint=["sleep"])
    assert not probe(container)


def test_redis_keeps_its_data_in_a_fresh_volume(engine: Engine) -> None:
    volume = engine.volume()
    first = engine.start("redis", mounts={volume: "/var/lib/redis"})
    wait_healthy(first)
    assert first.exec_run(["redis-cli", "set", "k", "v"]).output == b"OK\n"
    first.stop()
    second = engine.start("redis", mounts={volume: "/var/lib/redis"})
    wait_healthy(second)
    assert second.exec_run(["redis-cli", "get", "k"]).output == b"v\n"


SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/live" and sys.argv[1] == "live" else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""


def test_the_application_and_its_migrations_can_be_imported(engine: Engine) -> None:
    container = engine.start("app", "python", "-c", "import app.main, app.migrate")
    assert (wait_exit(container), container.logs().decode()) == (0, "")


def test_the_application_is_healthy_when_it_answers(engine: Engine) -> None:
    wait_healthy(engine.start("app", "python", "-c", SERVER, "live"))


def test_the_application_is_unhealthy_when_it_answers_with_an_error(engine: Engine) -> None:
    container = engine.start("app", "python", "-c", SERVER, "dead")
    answers = ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000))"]
    until(lambda: container.exec_run(answers).exit_code == 0, container)
    assert not probe(container)


# --- PostgreSQL ---


@dataclass
class Database:
    """A database container of ours with its secrets and its volume."""

    engine: Engine
    secrets: Path
    volume: str

    def write(self, name: str, value: str) -> None:
        file = self.secrets / name
        file.write_text(value)
        file.chmod(0o644)

    def start(self, *, healthy: bool = True, **options: Any) -> Container:
        mounts = {self.volume: "/var/lib/postgresql", str(self.secrets): "/run/gad/secrets:ro"}
        tmpfs = {"/run/postgresql": "mode=0755,uid=10070,gid=10070"}
        container = self.engine.start("postgres", mounts=mounts, tmpfs=tmpfs, **options)
        if healthy:
            wait_healthy(container)
        return container

    def in_volume(self, script: str) -> None:
        """Run a shell on the volume while no server does."""
        container = self.start(healthy=False, entrypoint=["sh", "-ec", script])
        assert wait_exit(container) == 0, container.logs().decode()


SECRETS = {
    name: f"{name}-{uuid.uuid4().hex}" for name in ("superuser_password", "owner_password", "app_password")
}


def new_database(engine: Engine, folder: Path) -> Database:
    folder.chmod(0o755)
    made = Database(engine, folder, engine.volume())
    for name, value in SECRETS.items():
        made.write(name, value)
    return made


@pytest.fixture
def database(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Database:
    return new_database(engine, tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def running(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Container:
    """One database for the tests that stop nothing."""
    return new_database(shared_engine, tmp_path_factory.mktemp("secrets")).start()


def query(container: Container, role: str, password: str, sql: str = "select 1") -> tuple[int, str]:
    """Over TCP, so that the password counts."""
    command = ["psql", "-XtA", "-h", "127.0.0.1", "-U", role, "-d", "gad", "-c", sql]
    done = container.exec_run(command, environment={"PGPASSWORD": password})
    return done.exit_code, done.output.decode().strip()


def as_superuser(container: Container, sql: str) -> str:
    return query(container, "postgres", SECRETS["superuser_password"], sql)[1]


def as_app(container: Container, sql: str) -> tuple[int, str]:
    return query(container, "gad_app", SECRETS["app_password"], sql)


def test_the_first_start_makes_what_the_application_needs(running: Container) -> None:
    container = running
    extensions = as_superuser(container, "select string_agg(extname, ' ' order by extname) from pg_extension")
    assert extensions == "btree_gist citext pg_trgm plpgsql postgis"
    assert as_superuser(container, "show data_checksums") == "on"
    assert (
        as_superuser(container, "select pg_encoding_to_char(encoding) from pg_database where datname = 'gad'")
        == "UTF8"
    )
    hashed = "select bool_and(rolpassword like 'SCRAM-SHA-256$%') from pg_authid where rolcanlogin"
    assert as_superuser(container, hashed) == "t"
    assert (
        as_superuser(container, "select string_agg(rolname, ' ') from pg_roles where rolsuper") == "postgres"
    )


def test_the_application_writes_rows_but_makes_no_tables(running: Container) -> None:
    container = running
    made = (
        "create table t (id bigint generated always as identity, name text)",
        "create schema s",
        "create table s.u ()",
    )
    assert query(container, "gad_owner", SECRETS["owner_password"], "; ".join(made))[0] == 0
    assert as_app(container, "insert into t (name) values ('x') returning id")[1].splitlines()[0] == "1"
    assert as_app(container, "select count(*) from s.u") == (0, "0")
    assert "permission denied" in as_app(container, "create table u ()")[1]
    assert "must be owner" in as_app(container, "drop table t")[1]


def test_a_changed_password_is_applied_at_the_next_start_and_only_then(database: Database) -> None:
    container = database.start()
    database.write("app_password", "another-one")
    assert as_app(container, "select 1") == (0, "1")
    container.stop()
    container.start()
    wait_healthy(container)
    assert query(container, "gad_app", "another-one") == (0, "1")
    assert "password authentication failed" in as_app(container, "select 1")[1]
    assert query(container, "gad_owner", SECRETS["owner_password"]) == (0, "1")
    container.stop()
    container.start()
    wait_healthy(container)
    assert container.logs().decode().count("setting the passwords") == 1


def test_the_old_password_works_again_after_it_is_written_back(database: Database) -> None:
    container = database.start()
    for password in ("another-one", SECRETS["app_password"]):
        database.write("app_password", password)
        container.stop()
        container.start()
        wait_healthy(container)
        assert query(container, "gad_app", password) == (0, "1")


@pytest.mark.parametrize(
    "reached",
    [
        "test -d /var/lib/postgresql/data.init",
        "test -S /run/postgresql/private/.s.PGSQL.5432",
        "psql -Xh /run/postgresql/private -U postgres -d gad -c 'select 1'",
    ],
    ids=["initdb", "server", "database"],
)
def test_a_first_start_killed_half_way_recovers(database: Database, reached: str) -> None:
    container = database.start(healthy=False)
    until(lambda: container.exec_run(["sh", "-c", reached]).exit_code == 0, container)
    container.kill("SIGKILL")
    container.start()
    wait_healthy(container)
    assert as_app(container, "select 1") == (0, "1")
    assert container.exec_run(["sh", "-c", "ls -A /var/lib/postgresql"]).output == b"data\n"


def test_a_server_killed_while_a_password_changes_recovers(database: Database) -> None:
    container = database.start()
    container.kill("SIGKILL")  # so that the next start has a crash to recover from
    database.write("app_password", "another-one")
    container.start()
    until(lambda: container.exec_run(["test", "-d", "/run/postgresql/private"]).exit_code == 0, container)
    container.kill("SIGKILL")
    container.start()
    wait_healthy(container)
    assert query(container, "gad_app", "another-one") == (0, "1")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            "mkdir -m 700 /var/lib/postgresql/data; echo 16 > /var/lib/postgresql/data/PG_VERSION",
            "written by PostgreSQL 16",
        ),
        ("mkdir /var/lib/postgresql/data", "holds no database (no PG_VERSION)"),
        ("touch /var/lib/postgresql/x; chmod 0500 /var/lib/postgresql", "is not writable for uid 10070"),
    ],
    ids=["wrong major", "no database", "not writable"],
)
def test_a_volume_it_cannot_use_is_refused_in_one_sentence(
    database: Database, damage: str, said: str
) -> None:
    database.in_volume(damage)
    container = database.start(healthy=False)
    assert wait_exit(container) == 78
    lines = container.logs().decode().splitlines()
    assert [said in line for line in lines] == [True]


@pytest.mark.parametrize(
    ("value", "said"), [(None, "app_password is missing"), ("", "app_password is empty")]
)
def test_a_missing_or_empty_secret_is_refused(database: Database, value: str | None, said: str) -> None:
    (database.secrets / "app_password").unlink()
    for text in [value] if value is not None else []:
        database.write("app_password", text)
    container = database.start(healthy=False)
    assert wait_exit(container) == 78
    assert said in container.logs().decode()


def test_the_mounted_configuration_is_used(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir(mode=0o755)
    (folder / "postgresql.conf").write_text(
        "listen_addresses = '*'\nunix_socket_directories = '/run/postgresql'\nwork_mem = '7MB'\n"
    )
    (folder / "postgresql.conf").chmod(0o644)
    mounts = {
        database.volume: "/var/lib/postgresql",
        str(database.secrets): "/run/gad/secrets:ro",
        str(folder): "/etc/gad/postgres:ro",
    }
    container = database.engine.start(
        "postgres", mounts=mounts, tmpfs={"/run/postgresql": "mode=0755,uid=10070,gid=10070"}
    )
    wait_healthy(container)
    assert as_superuser(container, "show work_mem") == "7MB"


def test_no_secret_leaves_its_file(database: Database) -> None:
    container = database.start()
    database.write("app_password", "one-more-" + SECRETS["app_password"])
    container.stop()
    container.start()
    wait_healthy(container)
    image = database.engine.client.images.get(database.engine.images["postgres"].digest)
    seen = {
        "logs": container.logs().decode(),
        "inspect": json.dumps(container.attrs),
        "processes": json.dumps(container.top(ps_args="axww")["Processes"]),
        "environment": container.exec_run(["cat", "/proc/1/environ"]).output.decode(),
        "image": json.dumps(image.attrs),
        "history": json.dumps(image.history()),
    }
    secrets = [
        form for value in SECRETS.values() for form in (value, base64.b64encode(value.encode()).decode())
    ]
    assert [place for place, text in seen.items() for secret in secrets if secret in text] == []
    marks = container.exec_run(["cat", "/var/lib/postgresql/data/gad_passwords"]).output.decode()
    assert [secret for secret in secrets if secret in marks] == []


def test_stopping_it_is_a_clean_shutdown(database: Database) -> None:
    container = database.start()
    container.stop(timeout=30)
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 0
    assert "database system is shut down" in container.logs(tail=3).decode()


# --- the registry ---


@pytest.fixture
def registry(engine: Engine) -> Iterator[Registry]:
    """A registry of the test's own at a free port; the shared one stays as it is."""
    made = Registry(free_port())
    yield made
    for container in engine.client.containers.list(all=True, filters={"name": made.container}):
        container.remove(force=True, v=True)
    for volume in engine.client.volumes.list(filters={"name": made.container}):
        volume.remove(force=True)


def test_a_registry_is_started_kept_and_started_again(engine: Engine, registry: Registry) -> None:
    assert not ensure_running(engine.client, registry, None)
    assert ensure_running(engine.client, registry, engine.images["registry"].image_id)
    first = engine.client.containers.get(registry.container)
    assert ensure_running(engine.client, registry, None)
    first.stop()
    assert ensure_running(engine.client, registry, None)
    assert registry.answers()
    assert engine.client.containers.get(registry.container).id == first.id


def test_an_image_pushed_to_another_registry_is_named_by_its_digest_there(
    engine: Engine, registry: Registry
) -> None:
    ensure_running(engine.client, registry, engine.images["registry"].image_id)
    with reporting() as reporter:
        image_id = engine.images["redis"].image_id
        digest = push(engine.client, image_id, registry.repository("redis"), "test", reporter)
    assert digest.startswith(f"{registry.repository('redis')}@sha256:")
    assert registry.missing([digest]) == set()
    engine.client.images.remove(registry.repository("redis") + ":test")


def test_a_taken_registry_port_is_said_and_leaves_nothing(engine: Engine, registry: Registry) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", registry.port))
        other.listen()
        with pytest.raises(GadError, match=f"port {registry.port} is taken") as caught:
            ensure_running(engine.client, registry, engine.images["registry"].image_id)
    assert "GAD_REGISTRY_PORT" in caught.value.remedy
    assert engine.client.containers.list(all=True, filters={"name": registry.container}) == []


def test_a_recipe_that_fails_shows_its_last_lines(engine: Engine, tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("ARG PARENT\nFROM ${PARENT}\nUSER 0:0\nRUN echo the-cause && exit 7\n")
    plan = Recipe(
        image=IMAGES["redis"],
        files=[InputFile(PurePosixPath("Dockerfile"), dockerfile)],
        input_hash="0" * 64,
        parent=engine.images["base"].image_id,
        tag=f"{engine.prefix}:failed",
        log=tmp_path / "build.log",
    )
    with (
        pytest.raises(GadError, match=r"image redis does not build(.|\n)*the-cause") as caught,
        reporting() as reporter,
    ):
        build(plan, reporter, fresh=True)
    assert str(plan.log) in caught.value.remedy
