"""`gad lab`: labs are made, started, found and removed on the local engine."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import httpx
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container

from infra.errors import Exit, GadError
from infra.image_lock import read_lock
from infra.operate import docker_engine, lab, owned
from infra.operate.images.engine import explained
from infra.operate.images.registry import local_registry
from infra.operate.lab import Lab, LabName
from infra.toolchain.cache import locked

Say = Callable[[str], None]
IMAGE = "lab"
BOOT_S = 60.0  # measured: 2 s from start to login on an idle machine; a busy one gets time
LOGIN_S = 30.0  # one attempt, which waits inside for the end of the boot
BOOTED = {"running", "degraded"}  # all units, or all but some


def up(root: Path, name: str, say: Say, *, ssh_port: int | None = None) -> Lab:
    """Make the lab, or start the one there is, and wait until its root can sign in.

    Raises GadError: no engine, no image, no registry, the port or the name is taken, or nobody answers.
    """
    wanted = lab.lab_name(name, root)
    if shutil.which("ssh") is None:
        raise GadError(
            "there is no `ssh` on this machine", remedy="install an OpenSSH client, then try again"
        )
    with (
        closing(docker_engine.connect()) as client,
        _alone(root, say),
        explained(f"bringing up lab {name}"),
    ):
        found = _find(client, wanted)
        is_new = found is None
        if found is None:
            say(f"making {wanted.prefix}")
            found = _make(client, wanted, ssh_port)
        elif ssh_port not in (None, found.port):
            raise GadError(
                f"lab {name} has SSH at port {found.port}",
                remedy=f"leave --ssh-port out, or `gad lab down {name}` first",
                exit_code=Exit.USAGE,
            )
        access = found.access  # before anything is started: without its keys there is nothing to wait for
        _attach_registry(client, wanted)
        _start(client.containers.get(wanted.prefix), found.port)
        say(f"waiting for {access.user} to sign in at port {access.port}")
        _await_login(client, found, is_new=is_new)
        return _described(client.containers.get(wanted.prefix), wanted)


def down(root: Path, name: str) -> None:
    """Remove the lab with its data, network and keys. Raises GadError if there is none."""
    wanted = lab.lab_name(name, root)
    with (
        closing(docker_engine.connect()) as client,
        _alone(root, lambda _: None),
        explained(f"removing lab {name}"),
    ):
        held = owned.owned(client, wanted.prefix)
        if not held and not wanted.folder.exists():
            raise unknown(name, [each.name.name for each in _all(client, root)])
        _remove(client, wanted)


def labs(root: Path) -> list[Lab]:
    """The labs of this checkout, by name. Raises GadError if the engine does not answer."""
    with closing(docker_engine.connect()) as client, explained("looking for labs"):
        return _all(client, root)


def get(root: Path, name: str) -> Lab:
    """The lab of this name. Raises GadError if there is none."""
    found = labs(root)
    for each in found:
        if each.name.name == name:
            return each
    raise unknown(name, [each.name.name for each in found])


def unknown(name: str, known: list[str]) -> GadError:
    """There is no such lab; pure."""
    remedy = f"there are: {', '.join(known)}" if known else f"make it with `gad lab up {name}`"
    return GadError(f"no lab of this checkout is called {name}", remedy=remedy, exit_code=Exit.USAGE)


@contextmanager
def _alone(root: Path, say: Say) -> Iterator[None]:
    file = root / lab.FOLDER / ".lock"
    with locked(file, lambda: say("another `gad lab` is at work: waiting")):
        yield


def _all(client: docker.DockerClient, root: Path) -> list[Lab]:
    found = []
    for each in client.api.containers(all=True, filters={"label": [f"{lab.LABEL_CHECKOUT}={root}"]}):
        try:
            container = client.containers.get(each["Id"])
        except NotFound:  # gone meanwhile
            continue
        found.append(_described(container, LabName(container.labels[lab.LABEL_LAB], root)))
    return sorted(found, key=lambda one: one.name.name)


def _find(client: docker.DockerClient, name: LabName) -> Lab | None:
    try:
        container = client.containers.get(name.prefix)
    except NotFound:
        return None
    if container.labels.get(lab.LABEL_CHECKOUT) != str(name.root):
        raise GadError(
            f"a container that is no lab of this checkout is called {name.prefix}",
            remedy="remove it, or choose another name",
        )
    return _described(container, name)


def _described(container: Container, name: LabName) -> Lab:
    known_hosts = name.folder / "known_hosts"
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    return Lab(
        name=name,
        state=container.status,
        port=int(container.attrs["HostConfig"]["PortBindings"]["22/tcp"][0]["HostPort"]),
        address=next((each["IPAddress"] for each in networks if each["IPAddress"]), None),
        host_key=lab.pinned(known_hosts.read_text()) if known_hosts.exists() else None,
    )


def _make(client: docker.DockerClient, name: LabName, ssh_port: int | None) -> Lab:
    """Create all of it, and start it, which shows that its port is free; nothing is left on failure."""
    image = _image(client, name.root)
    held = {each.port for each in _all(client, name.root)}
    try:
        _remove(client, name)  # what an interrupted run left
        client.networks.create(name.prefix, driver="bridge", labels=dict(name.labels))
        client.volumes.create(name.volume, labels=dict(name.labels))
        _attach_registry(client, name)
        for port in lab.candidates(ssh_port, held):
            if _try(client, name, image, port):
                return _described(client.containers.get(name.prefix), name)
    except BaseException:
        _remove(client, name)
        raise
    _remove(client, name)
    raise GadError(
        f"port {ssh_port} is taken, or one of those {lab.HTTPS_ABOVE} and {lab.HTTP_ABOVE} above it"
        if ssh_port
        else f"no port from {lab.FIRST_PORT} on is free",
        remedy="choose another one with --ssh-port",
    )


def _try(client: docker.DockerClient, name: LabName, image: str, port: int) -> bool:
    """Whether the container could be made and started with SSH at `port`; without a trace if not."""
    login, host = lab.make_key(), lab.make_key()
    container = client.containers.create(image, **lab.options(name, port))
    container.put_archive("/", lab.files_inside(login, host, local_registry().port))
    name.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file, text in lab.files_outside(name, port, login, host).items():
        path = name.folder / file
        path.touch(mode=0o600)
        path.write_text(text)
    try:
        container.start()
    except APIError as error:
        if not _is_port_taken(error):
            raise
        container.remove(force=True)
        return False
    return True


def _start(container: Container, port: int) -> None:
    try:
        container.start()  # of a running one: nothing
    except APIError as error:
        if not _is_port_taken(error):
            raise
        raise GadError(
            f"port {port} of this lab, or one of its web ports, is taken",
            remedy="stop what holds it, then try again",
        ) from error


def _is_port_taken(error: APIError) -> bool:
    reason = str(error.explanation or error)
    return "port is already allocated" in reason or "address already in use" in reason


def _image(client: docker.DockerClient, root: Path) -> str:
    """The image by digest; pulled if the engine was cleaned. Raises GadError if it was never built."""
    digest = read_lock(root).require(IMAGE).digest
    try:
        client.images.get(digest)
    except ImageNotFound:
        repository, _, sha256 = digest.partition("@")
        client.images.pull(repository, tag=sha256)
    return digest


def _attach_registry(client: docker.DockerClient, name: LabName) -> None:
    """Put the local registry on the lab's network, under the alias that the lab looks up."""
    registry = local_registry()
    network = client.networks.get(name.prefix)
    try:
        network.connect(registry.container, aliases=[lab.REGISTRY_ALIAS])
    except APIError as error:
        if "already exists in network" in str(error.explanation):
            return
        if error.status_code != httpx.codes.NOT_FOUND:
            raise
        raise GadError(
            f"there is no local registry ({registry.container}), which a lab gets its images from",
            remedy=f"gad images build {IMAGE}",
        ) from error


def _remove(client: docker.DockerClient, name: LabName) -> None:
    """All that carries the lab's labels, and its folder."""
    held = owned.owned(client, name.prefix)
    for network in (item for item in held if item.kind == "network"):
        attached = client.networks.get(network.id).attrs["Containers"] or {}
        for container in attached:
            client.api.disconnect_container_from_network(container, network.id, force=True)
    owned.remove(client, held)
    shutil.rmtree(name.folder, ignore_errors=True)


def _await_login(client: docker.DockerClient, found: Lab, *, is_new: bool) -> None:
    """Sign in over SSH, and let systemd say that the boot is over. An old lab may be hardened: no root."""
    access = found.access
    command = [
        *("ssh", *access.options, "-o", "ConnectTimeout=5", "-p", str(access.port), "-l", access.user),
        *("--", access.address, "systemctl is-system-running --wait"),
    ]
    deadline = time.monotonic() + BOOT_S
    while True:
        said = _answer(command)
        if said.stdout.strip() in BOOTED:
            return
        container = client.containers.get(found.name.prefix)
        if not is_new and "Permission denied" in said.stderr:  # so the pinned host answered
            booted = container.exec_run(["systemctl", "is-system-running", "--wait"]).output
            if isinstance(booted, bytes) and booted.decode().strip() in BOOTED:
                return
        if container.status != "running" or time.monotonic() > deadline:
            words = (said.stderr or said.stdout).strip().splitlines() or ["no answer"]
            raise GadError(
                f"lab {found.name.name} does not let {access.user} sign in ({container.status}): {words[-1]}",
                remedy=f"read `docker logs {found.name.prefix}`, then `gad lab down {found.name.name}`",
            )
        time.sleep(0.2)


def _answer(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=LOGIN_S,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 255, "", f"no answer within {LOGIN_S:.0f} s")
