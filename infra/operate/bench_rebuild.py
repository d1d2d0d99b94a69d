"""How long a changed line of the application takes to become an image with a digest."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from infra import image_lock
from infra.operate.bench_figure import Figure
from infra.operate.images import catalogue
from infra.operate.images.build import build_images
from infra.operate.images.engine import connect
from infra.operate.images.progress import Reporter

TARGET_S = 15.0  # specified


def measure(root: Path, reporter: Reporter) -> Figure:
    """Build `app` from a copy of the sources with one line more; the checkout is not touched.

    The image is removed from the engine again. Raises GadError.
    """
    with TemporaryDirectory(prefix="gad-bench-") as folder:
        copy = Path(folder)
        copy_sources(root, copy)
        with (copy / "app" / "__init__.py").open("a", encoding="utf-8") as file:
            file.write(f"# measured at {time.time_ns()}\n")  # never the same: an old build would be found
        began = time.monotonic()
        built = build_images(copy, reporter, ["app"])
        seconds = time.monotonic() - began
    with closing(connect()) as client:
        client.images.remove(next(entry.image_id for entry in built if entry.name == "app"), force=True)
    return Figure(what="app image after one changed line", measured=seconds, unit="s", target=TARGET_S)


def copy_sources(root: Path, target: Path) -> None:
    """What images are built from, and what was built: nothing else of the checkout."""
    images = catalogue.load_catalogue(root).images.values()
    further = {
        path for image in images for path in (*image.context, *([image.wheels.lock] if image.wheels else []))
    }
    for path in sorted({catalogue.DIRECTORY, *further}):
        source = root / path
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target / path, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target / path)
    for path in (Path(".dockerignore"), image_lock.FILE):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        if (root / path).exists():
            shutil.copy2(root / path, target / path)
