"""A Docker engine inside a lab: its containers are really limited, and all of it survives a restart."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from infra.image_lock import read_lock
from infra.operate import docker_engine, lab_engine
from infra.operate.lab import Lab
from tests.engine.lab.server import ROOT, install_docker, said

pytestmark = pytest.mark.engine

# Version 1 and 2 of control groups; whichever there is.
MEMORY = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
PIDS = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null"
CONFINED: dict[str, Any] = {
    "mem_limit": "64m",
    "memswap_limit": "64m",
    "pids_limit": 20,
    "read_only": True,
    "cap_drop": ["ALL"],
    "user": "10071",
}


@pytest.fixture(scope="module")
def inside(machine: Lab) -> Iterator[docker.DockerClient]:
    """The lab's own engine, over SSH, through the connection that a stack uses."""
    install_docker(machine)
    with closing(docker_engine.connect(machine.access)) as client:
        yield client


@pytest.fixture(scope="module")
def image(inside: docker.DockerClient) -> str:
    """Pulled there from the local registry, by the digest of this checkout's lock."""
    digest = read_lock(ROOT).require("redis").digest
    repository, _, sha256 = digest.partition("@")
    assert digest in inside.images.pull(repository, tag=sha256).attrs["RepoDigests"]
    return digest


def output(container: Container, script: str) -> str:
    code, said_there = container.exec_run(["sh", "-c", script])
    assert code in (0, 1), said_there  # 1: one of the two files of a limit is not there
    return said_there.decode().strip()


def comes_to(container: Container, script: str, wanted: str) -> None:
    """Wait until a command there answers this; a container is `running` before all of it is there."""
    deadline = time.monotonic() + 20
    while (answer := output(container, script)) != wanted:
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)


def ping(address: str, port: int) -> bytes:
    """What Redis at this address answers; its server listens within the first second (measured)."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection((address, port), timeout=5) as line:
                line.sendall(b"PING\r\n")
                return line.recv(64)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_the_engine_is_debian_s_and_runs_under_systemd(machine: Lab, inside: docker.DockerClient) -> None:
    assert inside.version()["Version"].startswith("26.1.5")
    assert inside.info()["Driver"] == "overlay2"
    assert said(machine, "systemctl is-active docker containerd; systemctl is-system-running").split() == [
        *("active", "active", "running")
    ]
    assert inside.info()["Name"] == machine.name.name


def test_a_container_there_is_confined_in_fact(inside: docker.DockerClient, image: str) -> None:
    container = inside.containers.run(image, ["60"], entrypoint=["sleep"], detach=True, **CONFINED)
    try:
        assert output(container, MEMORY) == str(64 * 1024**2)
        assert output(container, PIDS) == "20"
        assert output(container, "id -u; touch /x 2>&1").split("\n")[0] == "10071"
        assert "Read-only file system" in output(container, "touch /x 2>&1")
        assert output(container, "grep CapEff /proc/self/status").split()[1] == "0" * 16
    finally:
        container.remove(force=True)


def test_more_processes_than_allowed_are_refused(inside: docker.DockerClient, image: str) -> None:
    script = "for i in $(seq 40); do sleep 5 & done; wait"
    container = inside.containers.create(image, ["-c", script], entrypoint=["sh"], **CONFINED)
    try:
        container.start()
        container.wait(timeout=60)
        assert "fork" in container.logs().decode()
    finally:
        container.remove(force=True)


def test_more_memory_than_allowed_is_refused(inside: docker.DockerClient, image: str) -> None:
    script = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo kept ${#x}"
    container = inside.containers.create(image, ["-c", script], entrypoint=["sh"], **CONFINED)
    try:
        container.start()
        assert container.wait(timeout=60)["StatusCode"] != 0
        assert b"kept" not in container.logs()
    finally:
        container.remove(force=True)


def test_after_a_restart_everything_is_back(
    client: docker.DockerClient, machine: Lab, inside: docker.DockerClient, image: str
) -> None:
    """Power off, as far as a container knows: then the same port, keys, registry, engine and containers."""
    inside.containers.run(
        image,
        ["--save", ""],
        entrypoint=["redis-server", "--protected-mode", "no"],
        name="kept",
        detach=True,
        restart_policy={"Name": "unless-stopped"},
        ports={"6379/tcp": 6379},
        **CONFINED,
    )
    around = client.containers.get(machine.name.prefix)
    around.restart(timeout=0)
    again = lab_engine.up(ROOT, machine.name.name, print)
    assert (again.port, again.host_key) == (machine.port, machine.host_key)
    assert said(machine, "systemctl is-system-running; systemctl is-active docker").split() == [
        *("running", "active")
    ]
    with closing(docker_engine.connect(again.access)) as engine:
        kept = engine.containers.get("kept")
        assert kept.status == "running"
        comes_to(kept, PIDS, "20")
        comes_to(kept, MEMORY, str(64 * 1024**2))
        engine.images.pull(*image.split("@"))
        # Its published port, from this machine, at the lab's own address.
        assert again.address is not None
        assert ping(again.address, 6379) == b"+PONG\r\n"
        kept.remove(force=True)
