"""What goes into the build of an image: its files, their hash, and the archive the engine gets."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from docker.utils.build import PatternMatcher

from infra.errors import GadError
from infra.operate.images.catalogue import Image

FORM = "1"  # raise it when the same files must lead to another image


@dataclass(frozen=True)
class InputFile:
    """One file of a build context: `name` inside the context, `path` on this machine."""

    name: PurePosixPath
    path: Path

    @property
    def mode(self) -> int:
        """0755 for a program, else 0644, whatever the umask of the checkout was."""
        return 0o755 if self.path.stat().st_mode & 0o100 else 0o644


def context_files(image: Image, root: Path) -> list[InputFile]:
    """Files of the image's own directory (at the top of the context) and of its further paths, sorted.

    Wheels are not among them: their lock is, and it decides them.
    Raises GadError if a path of the catalogue does not exist.
    """
    ignored = PatternMatcher(_patterns(root / ".dockerignore"))
    found = [
        InputFile(PurePosixPath(path.relative_to(root / image.directory)), path)
        for path in _walk(root / image.directory, image)
    ]
    further = (*image.context, *((image.wheels.lock,) if image.wheels else ()))
    found += [
        InputFile(PurePosixPath(path.relative_to(root)), path)
        for start in further
        for path in _walk(root / start, image)
    ]
    kept = [file for file in found if not _is_ignored(file.path.relative_to(root), ignored)]
    return sorted(kept, key=lambda file: file.name)


def input_hash(files: list[InputFile], parent: str) -> str:
    """SHA-256 over everything that decides the image: the files, and `parent` (image id or root source)."""
    total = hashlib.sha256(f"{FORM}\0{parent}\0".encode())
    for file in files:
        content = hashlib.sha256(file.path.read_bytes()).hexdigest()
        total.update(f"{file.name}\0{file.mode:o}\0{content}\0".encode())
    return total.hexdigest()


def write_context(files: list[InputFile], target: IO[bytes]) -> None:
    """Write a tar archive of `files` whose bytes depend on names, modes and contents only."""
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            entry = tarfile.TarInfo(str(file.name))
            entry.mode = file.mode
            with file.path.open("rb") as content:
                entry.size = content.seek(0, io.SEEK_END)
                content.seek(0)
                archive.addfile(entry, content)


def _walk(start: Path, image: Image) -> Iterator[Path]:
    if start.is_file():
        yield start
    elif start.is_dir():
        yield from (path for path in start.rglob("*") if path.is_file())
    else:
        raise GadError(
            f"image {image.name} is built from {start.name}, which does not exist",
            remedy="restore it from git, or correct config/images/catalogue.yaml",
        )


def _is_ignored(path: Path, ignored: PatternMatcher) -> bool:
    # What lies in an ignored folder is ignored. The stub asks for a path, the code for its text.
    return any(ignored.matches(str(part)) for part in (path, *path.parents[:-1]))  # type: ignore[arg-type]


def _patterns(file: Path) -> list[str]:
    if not file.exists():
        return []
    lines = (line.strip() for line in file.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]
