"""The local registry: a container of this machine that gives locally built images real digests."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import docker
import httpx
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import LogConfig

from infra.errors import Exit, GadError
from infra.operate.images.engine import failure

DEFAULT_PORT = 5000
START_DEADLINE_S = 20.0  # it listens within 1 s (measured); a busy machine gets time
MANIFESTS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
    )
)


@dataclass(frozen=True)
class Registry:
    """The registry on loopback at `port`: one for all checkouts of a machine that use that port."""

    port: int = DEFAULT_PORT

    @property
    def container(self) -> str:
        """Name of its container and of its volume."""
        return "gad-registry" if self.port == DEFAULT_PORT else f"gad-registry-{self.port}"

    @property
    def prefix(self) -> str:
        """What stands before an image's name."""
        return f"127.0.0.1:{self.port}/gad"

    def repository(self, name: str) -> str:
        """Repository of the image `name`."""
        return f"{self.prefix}/{name}"

    def answers(self) -> bool:
        """Whether a registry answers at the port."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/v2/", timeout=2.0).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def missing(self, digests: list[str]) -> set[str]:
        """Those of `digests` (name@sha256:… under this registry) that it does not hold."""
        absent: set[str] = set()
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=5.0) as client:
            for digest in digests:
                repository, _, sha256 = digest.partition("@")
                path = repository.partition("/")[2]
                answer = client.head(f"/v2/{path}/manifests/{sha256}", headers={"Accept": MANIFESTS})
                if answer.status_code != httpx.codes.OK:
                    absent.add(digest)
        return absent


def local_registry() -> Registry:
    """The registry at GAD_REGISTRY_PORT (default 5000). Raises GadError if that is no port."""
    value = os.environ.get("GAD_REGISTRY_PORT", str(DEFAULT_PORT))
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise GadError(
            f"GAD_REGISTRY_PORT is {value!r}",
            remedy="set it to a port between 1 and 65535",
            exit_code=Exit.USAGE,
        )
    return Registry(int(value))


def ensure_running(client: docker.DockerClient, registry: Registry, image: str | None) -> bool:
    """Start the registry unless it answers; returns whether it runs.

    `image` is what to create the container from; with None only a stopped container can be started.
    Raises GadError if the port is taken by something else, or the container does not come up.
    """
    container = _container(client, registry)
    if container is not None and container.status == "running" and registry.answers():
        return True
    if container is None:
        if image is None:
            return False
        container = _create(client, registry, image)
    try:
        container.start()
    except APIError as error:
        raise _start_failure(container, registry, str(error.explanation or error)) from error
    deadline = time.monotonic() + START_DEADLINE_S
    while not registry.answers():
        container.reload()
        if time.monotonic() > deadline or container.status in ("exited", "dead"):
            last = container.logs(tail=1).decode(errors="replace").strip()
            raise GadError(
                f"the local registry does not answer at port {registry.port}: {last or container.status}",
                remedy=f"read `docker logs {registry.container}`; remove that container, then build again",
            )
        time.sleep(0.1)
    return True


def _container(client: docker.DockerClient, registry: Registry) -> Container | None:
    try:
        return client.containers.get(registry.container)
    except NotFound:
        return None


def _create(client: docker.DockerClient, registry: Registry, image: str) -> Container:
    try:
        return client.containers.create(
            image,
            name=registry.container,
            ports={"5000/tcp": ("127.0.0.1", registry.port)},
            volumes={registry.container: {"bind": "/var/lib/docker-registry", "mode": "rw"}},
            tmpfs={"/tmp": "size=64m,noexec,nosuid,nodev"},  # noqa: S108
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit="256m",
            pids_limit=128,
            restart_policy={"Name": "always"},
            log_config=LogConfig(type="json-file", config={"max-size": "5m", "max-file": "2"}),
            labels={"gad.role": "registry", "gad.data-class": "none"},
        )
    except APIError as error:
        if error.status_code == httpx.codes.CONFLICT:  # another checkout was faster
            return client.containers.get(registry.container)
        raise failure("creating the local registry", str(error.explanation or error)) from error


def _start_failure(container: Container, registry: Registry, reason: str) -> GadError:
    if "already allocated" in reason or "address already in use" in reason:
        container.remove(force=True)
        return GadError(
            f"port {registry.port} is taken, the local registry cannot use it",
            remedy="stop what holds it, or choose another one: GAD_REGISTRY_PORT=5001 gad images build",
        )
    return GadError(
        f"the local registry cannot be started: {reason}", remedy=f"read `docker logs {registry.container}`"
    )
