"""`.gad/images.lock.json`: the digest of every image built here. A stack on this machine deploys these."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import GadError

FILE = Path(".gad/images.lock.json")


class LockedImage(BaseModel):
    """An image as it was built and pushed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    digest: str = Field(pattern=r"@sha256:[0-9a-f]{64}$")  # name@sha256:…, in the local registry
    image_id: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    input_hash: str
    version: str
    size_bytes: int
    own_bytes: int  # what it adds to its parent
    built_at: datetime  # UTC
    published: Mapping[str, str] = {}  # prefix of another registry → name@sha256:… there


class ImageLock(BaseModel):
    """All images built in this checkout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: tuple[LockedImage, ...] = ()

    def get(self, name: str) -> LockedImage | None:
        """The entry of `name`, if it was built."""
        return next((image for image in self.images if image.name == name), None)

    def require(self, name: str) -> LockedImage:
        """The entry of `name`. Raises GadError if it was never built here."""
        image = self.get(name)
        if image is None:
            raise GadError(
                f"image {name} was not built in this checkout", remedy=f"run `gad images build {name}`"
            )
        return image

    def with_images(self, images: Iterable[LockedImage]) -> ImageLock:
        """This lock with `images` in place of the entries of the same names, sorted by name."""
        merged = {image.name: image for image in (*self.images, *images)}
        return ImageLock(images=tuple(merged[name] for name in sorted(merged)))


def read_lock(root: Path) -> ImageLock:
    """The lock of the checkout at `root`; empty if nothing was built. Raises GadError if it is damaged."""
    file = root / FILE
    if not file.exists():
        return ImageLock()
    try:
        return ImageLock.model_validate_json(file.read_text())
    except (ValidationError, UnicodeDecodeError) as error:
        raise GadError(
            f"{FILE} is damaged",
            remedy="remove it and run `gad images build`: unchanged images are found again",
        ) from error


def write_lock(root: Path, lock: ImageLock) -> None:
    """Replace the lock in one step: a reader sees the old one or the new one."""
    file = root / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = file.with_suffix(f".{os.getpid()}.new")
    staged.write_text(lock.model_dump_json(indent=2) + "\n")
    staged.replace(file)
