"""Pushing an image and learning its digest from the registry."""

from __future__ import annotations

import docker

from infra.errors import GadError
from infra.operate.images.engine import explained
from infra.operate.images.progress import Reporter


def push(client: docker.DockerClient, image_id: str, repository: str, tag: str, reporter: Reporter) -> str:
    """Tag and push; returns repository@sha256:… as the registry computed it.

    Raises GadError if the registry refuses (not logged in, unreachable, full).
    """
    name = repository.rsplit("/", 1)[-1]
    reporter.step(name, f"pushing to {repository}")
    with explained(f"pushing {name} to {repository}"):
        client.images.get(image_id).tag(repository, tag)
        digest, refusal = None, ""
        for event in client.api.push(repository, tag=tag, stream=True, decode=True):  # to the end, see recipe
            refusal = refusal or str(event.get("error", ""))
            digest = event.get("aux", {}).get("Digest", digest)
    if refusal:
        raise GadError(
            f"{repository} did not take the image: {refusal}",
            remedy="check the name, `docker login` for that registry, and that it is reachable",
        )
    if digest is None:
        raise GadError(
            f"{repository} named no digest for {tag}", remedy="push again; the registry's log says more"
        )
    return f"{repository}@{digest}"
