"""What must be right before an update begins, so that a mistake changes nothing."""

from __future__ import annotations

import errno
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from infra import settings
from infra.errors import Exit, GadError
from infra.image_lock import read_lock
from infra.names import DATA_ROLES
from infra.operate import stack_file
from infra.operate.docker_engine import connect
from infra.operate.pulumi import Pulumi
from infra.settings import Settings
from infra.ssh import SshAccess

# An update writes state, logs and a container's layer or two. Below this, something breaks half way (chosen).
LEAST_FREE_MIB = 512
DIAL_S = 5.0
ANYWHERE = "0.0.0.0"  # noqa: S104  (what the engine says of a port on all addresses; nothing binds it here)


def load_settings(pulumi: Pulumi) -> Settings:
    """The complete settings of a stack, as its program will see them. Raises GadError."""
    raw = stack_file.read(pulumi.root, pulumi.stack)
    source = stack_file.path_of(pulumi.root, pulumi.stack).name
    if "secrets" not in raw:
        raise GadError(
            f"secrets is missing ({source})",
            remedy=f"run `gad secrets init {pulumi.stack}`, which creates strong ones",
            exit_code=Exit.USAGE,
        )
    pulumi.ensure()
    file = settings.parse(pulumi.config(), source=source)
    local = {image.name: image.digest for image in read_lock(pulumi.root).images}
    block = settings.block_of(file, stack=pulumi.stack, checkout=pulumi.root)
    return settings.resolve(file, stack=pulumi.stack, block=block, local_images=local)


def engine_of(desired: Settings) -> docker.DockerClient:
    """The engine the stack runs on. Raises GadError if it cannot be reached."""
    server = desired.file.server.access
    return connect() if server is None else _dialled(server, "server", desired.stack)


def data_engine_of(desired: Settings) -> docker.DockerClient | None:
    """The engine of the data server; None if the stack has none. Raises GadError if it cannot be reached."""
    server = desired.file.data_server.access if desired.file.data_server is not None else None
    return None if server is None else _dialled(server, "data_server", desired.stack)


def _dialled(server: SshAccess, section: str, stack: str) -> docker.DockerClient:
    # Where the connection that the engine's own plugin shares has its socket; ssh does not make it.
    (Path.home() / ".ssh").mkdir(mode=0o700, exist_ok=True)
    try:
        socket.create_connection((server.address, server.port), timeout=DIAL_S).close()
    except OSError as error:
        raise GadError(
            f"{section.replace('_', ' ')} {server.address} does not answer on port {server.port}: "
            f"{error.strerror or error}",
            remedy=f"check {section}.address and {section}.port (Pulumi.{stack}.yaml) and the network",
        ) from error
    return connect(server)


def check(desired: Settings, client: docker.DockerClient) -> None:
    """Space, images and ports. Raises GadError for the first that is not right."""
    _check_space(desired, client)
    _check_images(_images_of(desired, on_data=False), client, desired.stack)
    _check_ports(desired, client)


def check_data(desired: Settings, client: docker.DockerClient) -> None:
    """Images, on the data server. Raises GadError for the first that is not right."""
    _check_images(_images_of(desired, on_data=True), client, desired.stack)


def _images_of(desired: Settings, *, on_data: bool) -> Mapping[str, str]:
    """Those that run on one of two servers; all of them if there is but one."""
    if desired.file.data_server is None:
        return desired.images
    return {name: digest for name, digest in desired.images.items() if (name in DATA_ROLES) is on_data}


def _check_space(desired: Settings, client: docker.DockerClient) -> None:
    ours = settings.ROOT / ".gad"
    places = [ours, ours / "state", ours / desired.stack]
    if desired.file.server.kind == "local":
        places.append(Path(client.info()["DockerRootDir"]))
    for place in places:
        if not place.exists():
            continue
        free_mib = shutil.disk_usage(place).free // 1024**2
        if free_mib < LEAST_FREE_MIB:
            raise GadError(
                f"{place} has {free_mib} MiB free, an update needs {LEAST_FREE_MIB} MiB",
                remedy="free space; `docker system df` shows what the engine holds",
            )


def _check_images(digests: Mapping[str, str], client: docker.DockerClient, stack: str) -> None:
    for name, digest in digests.items():
        try:
            client.images.get(digest)
            continue
        except ImageNotFound:
            pass
        try:
            client.images.get_registry_data(digest)
        except APIError as error:
            said = "does not exist"
            if not isinstance(error, NotFound):
                said = "is not on this engine, and its registry does not give it"
            raise GadError(
                f"images.{name} {digest} {said}: {error.explanation or error}",
                remedy=f"run `gad images build {name}`, or correct the digest (Pulumi.{stack}.yaml)",
            ) from error


def _check_ports(desired: Settings, client: docker.DockerClient) -> None:
    bind = str(desired.file.proxy.bind)
    holders = {
        (port.get("IP"), port.get("PublicPort")): container["Names"][0].lstrip("/")
        for container in client.api.containers()
        for port in container["Ports"]
    }
    for key, port in (("https_port", desired.https_port), ("http_port", desired.http_port)):
        holder = holders.get((bind, port)) or holders.get((ANYWHERE, port))
        if holder == f"{desired.prefix}-proxy":
            continue
        if holder is not None or (desired.file.server.kind == "local" and _is_taken(bind, key, port)):
            by = f"container {holder}" if holder else "another process"
            raise GadError(
                f"port {port} on {bind} is in use by {by}",
                remedy=f"stop it, or set proxy.{key} (Pulumi.{desired.stack}.yaml) to a free port",
            )


def _is_taken(bind: str, key: str, port: int) -> bool:
    """Whether anything on this machine has the port; of a server only its engine can be asked."""
    udp = key == "https_port" and _in_use(bind, port, socket.SOCK_DGRAM)  # HTTP/3
    return udp or _in_use(bind, port, socket.SOCK_STREAM)


def _in_use(address: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:  # connections that are only ending do not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE  # a low port is closed to this account, not in use
    return False
