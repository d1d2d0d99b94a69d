"""Two images that differ in nothing but their digest, in the project's local registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from infra.operate.images.build import build_images
from infra.operate.images.progress import reporting
from infra.operate.images.registry import Registry, local_registry

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class TestImages:
    """References by digest, the first also by tag; `registry` is host and port."""

    __test__ = False

    first: str
    second: str
    tagged: str
    registry: str


def conformance_images(client: docker.DockerClient) -> TestImages:
    """Make the images unless the registry has them; the project builds its own base image for it."""
    registry = local_registry()
    repository = registry.repository("conformance")
    digests = [_digest(client, registry, f"{repository}:{number}") for number in (1, 2)]
    if None in digests:
        with reporting() as reporter:
            (base,) = build_images(ROOT, reporter, ["base"])
        digests = [_make(client, base.digest, repository, number) for number in (1, 2)]
    first, second = (str(digest) for digest in digests)
    return TestImages(
        first=first,
        second=second,
        tagged=f"{repository}:1",
        registry=registry.prefix.removesuffix("/gad"),
    )


def _digest(client: docker.DockerClient, registry: Registry, tag: str) -> str | None:
    """The digest of `tag`, when both the engine and the registry have it."""
    repository = tag.rpartition(":")[0]
    try:
        known = client.api.inspect_image(tag)["RepoDigests"]
    except ImageNotFound:
        return None
    found = next((each for each in known if each.startswith(f"{repository}@")), None)
    if found is None or not registry.answers() or registry.missing([found]):
        return None
    return str(found)


def _make(client: docker.DockerClient, base: str, repository: str, number: int) -> str:
    """Commit the base under an author of its own and push it."""
    container = client.api.create_container(base, command=["true"])
    try:
        client.api.commit(
            container["Id"], repository=repository, tag=str(number), author=f"conformance {number}"
        )
    finally:
        client.api.remove_container(container["Id"])
    for line in client.api.push(repository, tag=str(number), stream=True, decode=True):
        if "error" in line:
            raise RuntimeError(f"{repository}:{number} cannot be pushed: {line['error']}")
    digests = client.api.inspect_image(f"{repository}:{number}")["RepoDigests"]
    return next(str(each) for each in digests if each.startswith(f"{repository}@"))
