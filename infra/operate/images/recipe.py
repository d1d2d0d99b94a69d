"""Building one image: the engine's classic builder, with its output in a file and its failures in words."""

from __future__ import annotations

import io
import tarfile
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import docker
from docker.errors import ImageNotFound
from docker.models.images import Image as EngineImage

from infra.errors import GadError
from infra.operate.images.catalogue import Image
from infra.operate.images.engine import connect, explained, failure
from infra.operate.images.inputs import InputFile, write_context
from infra.operate.images.progress import Reporter

LABEL = "gad.image.inputs"  # hash of everything that decided the image
TAIL_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that is needed to build one image, decided."""

    image: Image
    files: list[InputFile]
    input_hash: str
    parent: str  # image to build FROM, present in the engine
    tag: str  # repository:tag of the result
    log: Path


def find_built(client: docker.DockerClient, tag: str, input_hash: str) -> EngineImage | None:
    """The image `tag` if the engine has it and it was built from these inputs."""
    try:
        found = client.images.get(tag)
    except ImageNotFound:
        return None
    return found if found.labels.get(LABEL) == input_hash else None


def build(recipe: Recipe, reporter: Reporter, *, fresh: bool) -> EngineImage:
    """Build and tag. `fresh` ignores the engine's layers, so that newer packages come in.

    Raises GadError with the last lines of the builder's output.
    """
    name = recipe.image.name
    began = time.monotonic()
    recipe.log.parent.mkdir(parents=True, exist_ok=True)
    error = ""
    with (
        closing(connect()) as client,  # of its own: builds run side by side
        tempfile.TemporaryFile() as context,
        recipe.log.open("w") as log,
    ):
        write_context(recipe.files, context)
        context.seek(0)
        with explained(f"building {name}"):
            output = client.api.build(
                fileobj=context,
                custom_context=True,
                tag=recipe.tag,
                buildargs={"PARENT": recipe.parent},
                labels=_labels(recipe),
                network_mode="host",  # the bridge's DNS does not work on every machine
                nocache=fresh,
                rm=True,
                forcerm=True,
                decode=True,
            )
            for event in output:  # to the end, error or not: else the connection stays open
                error = error or str(event.get("error", ""))
                text = str(event.get("stream") or event.get("error", ""))
                log.write(text)
                if text.startswith("Step "):
                    reporter.step(name, text.strip()[:90])
        if not error:
            built = client.images.get(recipe.tag)
    if error:
        raise _failure(recipe, error)
    seconds = time.monotonic() - began
    reporter.done(name, f"built in {seconds:.1f} s, {built.attrs['Size'] / 1e6:.0f} MB")
    return built


def installed_version(client: docker.DockerClient, image: EngineImage, package: str | None) -> str | None:
    """Version of a Debian package inside the image, as `gad-install` wrote it down; None without package."""
    if package is None:
        return None
    container = client.containers.create(image.id or "")  # never started
    try:
        chunks, _ = container.get_archive("/usr/share/gad/packages")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            member = archive.extractfile("packages")
            lines = member.read().decode().splitlines() if member else []
    finally:
        container.remove(v=True)
    return dict(line.split(" ", 1) for line in lines).get(package)


def built_at(image: EngineImage) -> datetime:
    """When the engine finished it (UTC, whole seconds)."""
    return datetime.fromisoformat(image.attrs["Created"][:19]).replace(tzinfo=UTC)


def _labels(recipe: Recipe) -> dict[str, str]:
    return {
        LABEL: recipe.input_hash,
        "gad.image.name": recipe.image.name,
        "org.opencontainers.image.title": f"gad/{recipe.image.name}",
        "org.opencontainers.image.version": recipe.image.version,
    }


def _failure(recipe: Recipe, error: str) -> GadError:
    tail = recipe.log.read_text().strip().splitlines()[-TAIL_LINES:]
    explanation = failure(f"building {recipe.image.name}", error)
    if explanation.fact.startswith("no space"):
        return explanation
    shown = "\n".join(f"  | {line}" for line in tail)
    return GadError(
        f"image {recipe.image.name} does not build; its last lines:\n{shown}",
        remedy=f"read {recipe.log}, correct {recipe.image.directory}/Dockerfile, then build again",
    )
