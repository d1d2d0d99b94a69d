"""A lab comes and goes: what stands in its way is said in one sentence, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from infra.cli.root import main
from infra.errors import Exit, GadError
from infra.operate import lab, lab_engine, owned
from infra.operate.lab import LabName
from tests.engine.lab.server import ROOT, name_of, on
from tests.ports import free_port

pytestmark = pytest.mark.engine


@pytest.fixture
def name(client: docker.DockerClient, machine: object) -> Iterator[LabName]:
    """A name of its own for the test; whatever bears it is removed. `machine`: the image is built."""
    made = LabName(name_of("life"), ROOT)
    yield made
    if left(client, made):
        lab_engine.down(ROOT, made.name)


def left(client: docker.DockerClient, name: LabName) -> list[str]:
    """All there is of a lab, on the engine and in files."""
    items = [f"{item.kind} {item.name}" for item in owned.owned(client, name.prefix)]
    return [*items, *(str(path) for path in [name.folder] if path.exists())]


@contextmanager
def taken_port() -> Iterator[int]:
    """A port of loopback on which something else listens."""
    with socket.socket() as other:
        other.bind((lab.ADDRESS, 0))
        other.listen()
        yield other.getsockname()[1]


def test_down_leaves_nothing(client: docker.DockerClient, name: LabName) -> None:
    made = lab_engine.up(ROOT, name.name, print)
    assert len(left(client, name)) == 4  # container, network, volume, folder
    registry = client.containers.get("gad-registry")
    assert name.prefix in registry.attrs["NetworkSettings"]["Networks"]
    assert main(["lab", "down", name.name, "--yes"]) == Exit.OK
    assert left(client, name) == []
    registry.reload()
    assert registry.status == "running"
    assert name.prefix not in registry.attrs["NetworkSettings"]["Networks"]
    assert on(made, "true").returncode == 255


def test_what_an_interrupted_up_left_is_no_hindrance(client: docker.DockerClient, name: LabName) -> None:
    """No container yet, but a network, a volume with something in it and the folder."""
    client.networks.create(name.prefix, labels=dict(name.labels))
    client.volumes.create(name.volume, labels=dict(name.labels))
    name.folder.mkdir(parents=True)
    (name.folder / "known_hosts").write_text("[127.0.0.1]:1 ssh-ed25519 AAAA\n")
    made = lab_engine.up(ROOT, name.name, print)
    assert on(made, "true").returncode == 0
    assert len([item for item in owned.owned(client, name.prefix) if item.kind == "network"]) == 1


def test_a_stopped_lab_is_started_and_lost_keys_are_said(client: docker.DockerClient, name: LabName) -> None:
    made = lab_engine.up(ROOT, name.name, print)
    client.containers.get(name.prefix).kill()
    assert lab_engine.get(ROOT, name.name).state == "exited"
    again = lab_engine.up(ROOT, name.name, print)
    assert (again.state, again.port, again.host_key) == ("running", made.port, made.host_key)
    shutil.rmtree(name.folder)
    with pytest.raises(GadError, match="are no longer in") as caught:
        lab_engine.up(ROOT, name.name, print)
    assert f"gad lab down {name.name}" in caught.value.remedy
    lab_engine.down(ROOT, name.name)
    assert left(client, name) == []


def test_a_lab_that_was_hardened_is_started_though_root_may_not_sign_in(
    client: docker.DockerClient, name: LabName
) -> None:
    made = lab_engine.up(ROOT, name.name, print)
    assert on(made, "echo PermitRootLogin no > /etc/ssh/sshd_config.d/hard.conf").returncode == 0
    client.containers.get(name.prefix).kill()
    assert lab_engine.up(ROOT, name.name, print).state == "running"
    assert "Permission denied" in on(made, "true").stderr


def test_a_taken_port_is_said_and_leaves_nothing(client: docker.DockerClient, name: LabName) -> None:
    with taken_port() as port, pytest.raises(GadError, match=f"port {port} is taken"):
        lab_engine.up(ROOT, name.name, print, ssh_port=port)
    assert left(client, name) == []


def test_a_port_that_is_not_asked_for_is_any_free_one(
    name: LabName, monkeypatch: pytest.MonkeyPatch, client: docker.DockerClient
) -> None:
    other = free_port()
    with taken_port() as port:
        monkeypatch.setattr("infra.operate.lab.candidates", lambda *_: iter((port, other)))
        made = lab_engine.up(ROOT, name.name, print)
    assert made.port == other
    assert on(made, "true").returncode == 0


def test_a_taken_name_is_said_and_what_has_it_is_kept(client: docker.DockerClient, name: LabName) -> None:
    stranger = client.containers.create(
        client.containers.get("gad-registry").attrs["Image"], name=name.prefix
    )
    try:
        with pytest.raises(GadError, match=f"no lab of this checkout is called {name.prefix}"):
            lab_engine.up(ROOT, name.name, print)
        stranger.reload()
    finally:
        stranger.remove()


def test_without_the_image_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(GadError, match="image lab was not built in this checkout") as caught:
        lab_engine.up(tmp_path, "demo", print)
    assert caught.value.remedy == "run `gad images build lab`"
    assert lab_engine.labs(tmp_path) == []


def test_without_the_registry_it_is_said_how_to_get_it(
    client: docker.DockerClient, name: LabName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAD_REGISTRY_PORT", str(10000 + os.getpid() % 50000))
    with pytest.raises(GadError, match="there is no local registry") as caught:
        lab_engine.up(ROOT, name.name, print)
    assert caught.value.remedy == "gad images build lab"
    assert left(client, name) == []


@pytest.mark.parametrize("command", [["up", "demo"], ["down", "demo", "--yes"], ["list"]], ids=lambda c: c[0])
def test_without_an_engine_every_command_says_so(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert main(["lab", *command]) == Exit.FAILED
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("error: Docker does not answer on this machine")
    assert told[1].startswith("remedy: ")
    assert len(told) == 2
