"""The catalogue of images: config/images/catalogue.yaml as a typed, checked value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from infra.errors import Exit, GadError

DIRECTORY = Path("config/images")
FILE = DIRECTORY / "catalogue.yaml"

Group = Literal["foundation", "core", "monitoring", "lab"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bootstrap(_Part):
    """Recipe of the root file system for machines that reach no image registry."""

    suite: str
    variant: str
    include: tuple[str, ...]
    strip: tuple[str, ...]  # patterns of files of the build machine, or that differ from run to run

    @property
    def title(self) -> str:
        """What a person reads."""
        return f"mmdebstrap {self.suite} {self.variant}"

    @property
    def recipe(self) -> str:
        """One line that names everything that decides the result."""
        return f"{self.title} {','.join(self.include)} without {' '.join(self.strip)}"


class Root(_Part):
    """Where the base image starts from."""

    upstream: str = Field(pattern=r"^[a-z0-9./-]+@sha256:[0-9a-f]{64}$")
    bootstrap: Bootstrap


class Wheels(_Part):
    """Python wheels that go into the build context as `wheels/`."""

    lock: Path
    unpack: bool = False  # the wheel only carries a program: hand over the program


class Image(_Part):
    """One image: its recipe lies in config/images/<name>/."""

    name: str
    group: Group
    parent: str | None = None
    version: str
    package: str | None = None  # the Debian package whose version is the image's
    uid: int | None = Field(default=None, ge=1, le=65534)  # none: a machine, whose first process is root's
    ports: tuple[int, ...] = ()
    wheels: Wheels | None = None
    context: tuple[Path, ...] = ()  # beside its own directory, from the root of the checkout

    @property
    def directory(self) -> Path:
        """Folder of the recipe, from the root of the checkout."""
        return DIRECTORY / self.name


class Catalogue(_Part):
    """All images; a parent always stands before its children."""

    root: Root
    images: Mapping[str, Image]

    @model_validator(mode="before")
    @classmethod
    def _name_images(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(data.get("images"), dict):
            named = {n: {"name": n, **body} for n, body in data["images"].items() if isinstance(body, dict)}
            return {**data, "images": {**data["images"], **named}}
        return data

    @model_validator(mode="after")
    def _parents_come_first(self) -> Self:
        seen: set[str] = set()
        for image in self.images.values():
            if image.parent is not None and image.parent not in seen:
                raise ValueError(f"{image.name}: parent {image.parent} must stand before it")
            seen.add(image.name)
        return self

    def select(self, names: Collection[str] = (), *, group: Group | None = None) -> list[Image]:
        """The named images (all if none is named) and the ancestors they need, parents first.

        Raises GadError for a name that is not in the catalogue.
        """
        unknown = sorted(set(names) - set(self.images))
        if unknown:
            raise GadError(
                f"no image is called {unknown[0]}",
                remedy=f"choose from {', '.join(self.images)}",
                exit_code=Exit.USAGE,
            )
        chosen = {i.name for i in self.images.values() if not (names or group) or i.group == group}
        chosen |= set(names)
        for image in reversed([*self.images.values()]):
            if image.name in chosen and image.parent is not None:
                chosen.add(image.parent)
        return [image for image in self.images.values() if image.name in chosen]


def load_catalogue(root: Path) -> Catalogue:
    """Read the catalogue of the checkout at `root`. Raises GadError naming the key that is wrong."""
    try:
        return Catalogue.model_validate(yaml.safe_load((root / FILE).read_text()))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise GadError(
            f"{FILE}: {where or 'images'}: {first['msg']}",
            remedy="correct the catalogue",
            exit_code=Exit.USAGE,
        ) from error
    except (OSError, yaml.YAMLError) as error:
        raise GadError(
            f"{FILE} cannot be read: {error}", remedy="restore it from git", exit_code=Exit.USAGE
        ) from error
