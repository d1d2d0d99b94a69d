"""The offline docker provider beyond the observed cases: previews, secrets, refusals, import, cancel, ssh."""

from __future__ import annotations

import base64
import io
import json
import secrets
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound
from docker.models.containers import Container

from tests.engine.conformance.harness import Declared, Stack, Step
from tests.engine.conformance.images import TestImages
from tests.engine.conformance.sshd import ssh_server

pytestmark = pytest.mark.engine

NewStack = Callable[[str], Stack]
# Seconds an engine that was told to stop may take: the plugin looks twice a second.
PATIENCE_S = 30


@dataclass(frozen=True)
class World:
    """An engine, an image, and names that are nobody else's."""

    client: docker.DockerClient
    image: str
    prefix: str

    def container(self, name: str, **inputs: object) -> Declared:
        """A container that sleeps."""
        own = {"command": ["sleep", "600"], "destroy_grace_seconds": 1, "name": f"{self.prefix}-{name}"}
        return Declared(
            name=name, type="pulumi_docker.Container", inputs={"image": self.image, **own, **inputs}
        )

    def of(self, kind: str, name: str, **inputs: object) -> Declared:
        """Any other type."""
        return Declared(
            name=name, type=f"pulumi_docker.{kind}", inputs={"name": f"{self.prefix}-{name}", **inputs}
        )


@pytest.fixture(scope="module")
def world(docker_client: docker.DockerClient, conformance_images: TestImages) -> Iterator[World]:
    world = World(docker_client, conformance_images.first, f"gadp{secrets.token_hex(3)}")
    yield world
    api = docker_client.api
    for container in api.containers(all=True, filters={"name": f"^/{world.prefix}-"}):
        api.remove_container(container["Id"], force=True, v=True)
    for network in api.networks(filters={"name": f"{world.prefix}-"}):
        api.remove_network(network["Id"])
    for volume in api.volumes(filters={"name": f"{world.prefix}-"})["Volumes"] or ():
        api.remove_volume(volume["Name"], force=True)


def test_a_whole_container_is_created_planned_imported_and_destroyed(
    world: World, new_stack: NewStack
) -> None:
    """Everything the project's own containers state, on two networks, with a secret in it."""
    word = "Tr0ub4dor-and-five"
    network = world.of("Network", "net", internal=True, labels=[{"label": "gad.role", "value": "data"}])
    volume = world.of("Volume", "vol", labels=[{"label": "gad.role", "value": "data"}])
    whole = world.container(
        "whole",
        capabilities={"drops": ["ALL"], "adds": ["NET_BIND_SERVICE"]},
        cpus="0.5",
        envs=["A=1", f"TOKEN={word}"],
        healthcheck={"tests": ["CMD", "true"], "interval": "1s", "timeout": "60s", "retries": 3},
        init=True,
        labels=[{"label": "gad.role", "value": "api"}],
        log_driver="json-file",
        log_opts={"max-size": "1m", "max-file": "2"},
        memory=64,
        memory_swap=64,
        mounts=[
            {"type": "volume", "source": f"{world.prefix}-vol", "target": "/data"},
            {"type": "tmpfs", "target": "/scratch", "tmpfs_options": {"size_bytes": 1048576}},
        ],
        networks_advanced=[{"name": f"{world.prefix}-net", "aliases": ["api-blue"]}],
        read_only=True,
        restart="unless-stopped",
        security_opts=["no-new-privileges:true"],
        stop_timeout=2,
        tmpfs={"/run": "size=1m"},
        ulimits=[{"name": "nofile", "soft": 1024, "hard": 2048}],
        user="10073:10073",
        wait=True,
        wait_timeout=60,
        working_dir="/",
    )
    whole = replace(whole, secrets=("envs",))
    stack = new_stack("docker-whole")
    stack.declare([network, volume])
    assert stack.up().ok
    stack.declare([network, volume, whole])
    planned = stack.preview()
    assert planned.of("whole") == (Step("create"),)
    created = stack.up()
    assert created.ok, created.output
    assert stack.preview().of("whole") == (Step("same"),)
    assert stack.refresh().ok
    assert stack.preview().of("whole") == (Step("same"),)

    found = world.client.api.inspect_container(f"{world.prefix}-whole")
    assert found["State"]["Health"]["Status"] == "healthy"
    assert {*found["NetworkSettings"]["Networks"]} == {f"{world.prefix}-net"}
    assert f"TOKEN={word}" in found["Config"]["Env"]
    written = "".join(path.read_text() for path in (stack.folder / "state").rglob("*.json"))
    everything = written + created.output + (stack.folder / "events.log").read_text()
    assert word not in everything
    assert base64.b64encode(word.encode()).decode() not in everything
    assert word in json.dumps(stack.exported("--show-secrets")["whole"].outputs["envs"])

    other = new_stack("docker-import")
    imports = [
        {"type": f"docker:index/{kind}", "name": name, "id": f"{world.prefix}-{name}"}
        for kind, name in (
            ("network:Network", "net"),
            ("volume:Volume", "vol"),
            ("container:Container", "whole"),
        )
    ]
    (other.folder / "import.json").write_text(json.dumps({"resources": imports}))
    words = "import --file import.json --yes --protect=false --generate-code=false --stack test"
    imported = other.pulumi(*words.split(), "--non-interactive")
    assert imported.returncode == 0, imported.stdout + imported.stderr
    assert other.exported()["whole"].id == found["Id"]
    other.declare([network, volume, whole])
    after = other.preview()
    assert (after.of("net"), after.of("vol")) == ((Step("same"),), (Step("same"),))
    (step,) = after.of("whole")
    assert (step.op, step.diffs) == ("update", ("destroyGraceSeconds", "wait"))

    assert stack.destroy().ok
    with pytest.raises(NotFound):
        world.client.api.inspect_container(found["Id"])


@pytest.mark.parametrize(
    ("kind", "inputs", "sentence"),
    [
        ("Service", {"task_spec": {"container_spec": {"image": "x"}}}, "docker:index/service:Service is not"),
        ("Container", {"image": "x", "gpus": "all"}, "gpus of Container is not supported"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(
    world: World, new_stack: NewStack, kind: str, inputs: dict[str, object], sentence: str
) -> None:
    stack = new_stack("docker-refused")
    stack.declare([world.of(kind, "refused", **inputs)])
    run = stack.preview()
    assert not run.ok
    assert sentence in run.output
    assert "Traceback" not in run.output


def test_an_engine_that_does_not_answer_is_named(world: World, new_stack: NewStack) -> None:
    stack = new_stack("docker-absent")
    away = Declared(
        name="away", type="pulumi_docker.Provider", inputs={"host": "unix:///nowhere/docker.sock"}
    )
    lost = Declared(
        name="lost", type="pulumi_docker.Volume", inputs={"name": f"{world.prefix}-lost"}, provider="away"
    )
    stack.declare([away, lost])
    run = stack.up()
    assert not run.ok
    assert "the Docker engine at unix:///nowhere/docker.sock does not answer" in run.output
    assert "Traceback" not in run.output


def test_a_wait_that_is_cancelled_leaves_a_recorded_container(world: World, new_stack: NewStack) -> None:
    stack = new_stack("docker-cancel")
    never = {"tests": ["CMD", "false"], "interval": "1s", "retries": 1000}
    stack.declare([world.container("slow", healthcheck=never, wait=True, wait_timeout=600)])
    engine = stack.start("up", "--yes", "--skip-preview")
    try:
        _await(lambda: _is_running(world, "slow"), "the container to run")
        engine.send_signal(signal.SIGINT)
        began = time.monotonic()
        engine.wait(PATIENCE_S)
        assert time.monotonic() - began < PATIENCE_S
    finally:
        engine.kill()
        engine.communicate()
    recorded = stack.exported()["slow"]
    assert len(recorded.init_errors) == 1
    assert "cancelled" in recorded.init_errors[0]
    assert stack.destroy().ok
    assert not _is_running(world, "slow")


@dataclass(frozen=True)
class RemoteEngine:
    """An address by which this machine's engine is reached over SSH, the options it needs, its sshd."""

    host: str
    options: list[str]
    sshd: Container


@pytest.fixture(scope="module")
def remote(world: World, tmp_path_factory: pytest.TempPathFactory) -> RemoteEngine:
    """A machine with sshd, the Docker client, and the engine's socket."""
    folder = tmp_path_factory.mktemp("ssh")
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    client = shutil.which("docker")
    assert client is not None
    with ssh_server() as server:
        image = server.container.image
        assert image is not None
        container = world.client.containers.run(
            image.id,
            ["sh", "-c", "ssh-keygen -A >/dev/null && exec /usr/sbin/sshd -D -e"],
            name=f"{world.prefix}-sshd",
            detach=True,
            init=True,
            ports={"22/tcp": ("127.0.0.1", None)},
            volumes={"/var/run/docker.sock": {"bind": "/var/run/docker.sock"}},
        )
    container.put_archive(
        "/", _archive({"root/.ssh/authorized_keys": key.with_suffix(".pub").read_bytes()}, 0o600)
    )
    container.put_archive("/", _archive({"usr/local/bin/docker": Path(client).read_bytes()}, 0o755))
    container.reload()
    port = container.ports["22/tcp"][0]["HostPort"]
    known = folder / "known_hosts"
    _await(lambda: _scan(port, known), "sshd to answer")
    return RemoteEngine(
        f"ssh://root@127.0.0.1:{port}",
        ["-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes"],
        container,
    )


def test_an_engine_over_ssh(world: World, new_stack: NewStack, remote: RemoteEngine) -> None:
    stack = new_stack("docker-ssh")
    away = Declared(
        name="away", type="pulumi_docker.Provider", inputs={"host": remote.host, "ssh_opts": remote.options}
    )
    made = [
        replace(each, provider="away")
        for each in (
            *(world.of("Volume", f"far-{number}") for number in range(4)),
            world.of("Network", "far-net"),
            world.container("far"),
        )
    ]
    stack.declare([away, *made])
    run = stack.up()
    assert run.ok, run.output
    assert _is_running(world, "far")
    again = stack.preview()
    assert [again.of(each.name) for each in made] == [(Step("same"),)] * len(made)
    assert stack.destroy().ok
    assert not _is_running(world, "far")
    # One connection for each of up, preview and destroy, not one per request.
    assert remote.sshd.logs().decode().count("Accepted publickey") == 3


def test_a_wrong_host_key_is_named(new_stack: NewStack, world: World, remote: RemoteEngine) -> None:
    stack = new_stack("docker-ssh-key")
    options = [*remote.options[:2], "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes"]
    away = Declared(
        name="away", type="pulumi_docker.Provider", inputs={"host": remote.host, "ssh_opts": options}
    )
    stack.declare([away, replace(world.of("Volume", "never"), provider="away")])
    run = stack.up()
    assert not run.ok
    assert "Host key verification failed" in run.output
    assert "Traceback" not in run.output


def _archive(files: dict[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _scan(port: str, known: Path) -> bool:
    found = subprocess.run(
        ["ssh-keyscan", "-p", port, "-t", "ed25519", "127.0.0.1"], check=False, capture_output=True
    ).stdout
    known.write_bytes(found)
    return bool(found)


def _is_running(world: World, name: str) -> bool:
    try:
        return bool(world.client.api.inspect_container(f"{world.prefix}-{name}")["State"]["Running"])
    except NotFound:
        return False


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.1)
