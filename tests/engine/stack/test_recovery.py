"""Updates that were killed, states that were lost, locks that somebody holds."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest

from tests.engine.stack.checkout import STACK, Checkout

KILLS = int(os.environ.get("GAD_TEST_KILLS", "3"))  # the soak kills more often
MOMENTS = [random.Random(2026 + n).uniform(2.0, 14.0) for n in range(KILLS)]  # noqa: S311


def lock_folder(checkout: Checkout) -> Path:
    """Where the file backend locks the stack."""
    return checkout.root / ".gad" / "state" / ".pulumi" / "locks" / "organization" / "grupo-gad" / STACK


def write_lock(checkout: Checkout, *, pid: int, host: str) -> Path:
    """A lock as the engine writes it."""
    lock = {"pid": pid, "username": "ana", "hostname": host, "timestamp": datetime.now(UTC).isoformat()}
    path = lock_folder(checkout) / "00000000-0000-4000-8000-000000000000.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(lock))
    return path


@pytest.mark.parametrize("after_s", MOMENTS, ids=[f"{moment:.1f}s" for moment in MOMENTS])
def test_the_next_up_finishes_a_killed_one(
    checkout: Checkout, client: docker.DockerClient, after_s: float
) -> None:
    checkout.gad("down", STACK).succeeded()
    process = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", STACK, "--non-interactive"],
        cwd=checkout.root,
        env=checkout.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(after_s)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    checkout.gad("up", STACK, "--no-verify").succeeded()
    assert sorted(checkout.containers(client)) == ["api-blue", "api-green", "postgres", "proxy", "redis"]
    networks = client.api.networks(filters={"label": f"gad.prefix={checkout.prefix}"})
    assert sorted(n["Labels"]["gad.role"] for n in networks) == ["data", "edge", "egress"]
    assert list(lock_folder(checkout).glob("*.json")) == []
    preview = checkout.pulumi("preview", "--refresh", "--expect-no-changes").succeeded().out
    assert "unchanged" in preview


@pytest.fixture
def somebody() -> Iterator[int]:
    """Another process that lives."""
    process = subprocess.Popen(["sleep", "60"])
    time.sleep(0.05)
    yield process.pid
    process.kill()
    process.wait()


def test_a_living_lock_is_named_and_respected(checkout: Checkout, somebody: int) -> None:
    lock = write_lock(checkout, pid=somebody, host=socket.gethostname())
    try:
        said = checkout.gad("up", STACK, "--no-verify").failed(4).err
        assert f"by ana on {socket.gethostname()} (pid {somebody})" in said
        assert "since" in said
        assert lock.exists()
    finally:
        lock.unlink()


def test_a_lock_of_another_machine_is_named_and_respected(checkout: Checkout) -> None:
    lock = write_lock(checkout, pid=1, host="another.example")
    try:
        assert "on another.example (pid 1)" in checkout.gad("up", STACK, "--no-verify").failed(4).err
        assert lock.exists()
    finally:
        lock.unlink()


def volumes_of(checkout: Checkout, client: docker.DockerClient) -> dict[str, str]:
    """When each volume of this checkout was made: another's prefix may begin with this one's."""
    found = client.api.volumes(filters={"label": f"gad.prefix={checkout.prefix}"})["Volumes"]
    return {volume["Name"]: volume["CreatedAt"] for volume in found}


def test_a_lost_state_is_said_adopted_and_the_data_is_there(
    checkout: Checkout, client: docker.DockerClient
) -> None:
    checkout.gad("demo", STACK, "--count", "10", "--json").succeeded()
    volumes = volumes_of(checkout, client)
    shutil.rmtree(checkout.root / ".gad" / "state")
    said = checkout.gad("up", STACK, "--no-verify").failed(4).err
    assert f"{checkout.prefix}-postgres-data" in said
    assert f"gad adopt {STACK}" in said
    assert f"gad clean {STACK} --orphans" in said
    checkout.gad("adopt", STACK).succeeded()
    checkout.gad("up", STACK, "--no-verify").succeeded()
    again = json.loads(checkout.gad("demo", STACK, "--count", "10", "--json").succeeded().out)
    assert (again["created"], again["present"]) == (0, 10)
    assert sorted(volumes) == [f"{checkout.prefix}-{store}-data" for store in ("postgres", "proxy", "redis")]
    assert volumes_of(checkout, client) == volumes
    assert "unchanged" in checkout.pulumi("preview", "--refresh", "--expect-no-changes").succeeded().out


def test_orphans_are_removed_after_a_question(checkout: Checkout, client: docker.DockerClient) -> None:
    labels = {
        "gad.prefix": checkout.prefix,
        "gad.stack": STACK,
        "gad.role": "stray",
        "gad.data-class": "none",
    }
    network = client.networks.create(f"{checkout.prefix}-stray", labels=labels)
    refused = checkout.gad("clean", STACK, "--orphans", stdin="no\n").failed(4)
    assert f"{checkout.prefix}-stray" in refused.out
    assert [n.id for n in client.networks.list(ids=[network.id])] == [network.id]
    checkout.gad("clean", STACK, "--orphans", stdin=f"{STACK}\n").succeeded()
    assert client.networks.list(ids=[network.id]) == []
