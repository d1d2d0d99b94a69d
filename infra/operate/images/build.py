"""`gad images build`: bring the images of the catalogue up to date, in engine, registry and lock."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock

import docker
from docker.errors import ImageNotFound
from docker.models.images import Image as EngineImage

from infra.image_lock import ImageLock, LockedImage, read_lock, write_lock
from infra.operate.images import recipe, rootfs, wheels
from infra.operate.images.catalogue import Catalogue, Group, Image, load_catalogue
from infra.operate.images.engine import connect, explained
from infra.operate.images.inputs import context_files, input_hash
from infra.operate.images.progress import Reporter
from infra.operate.images.push import push
from infra.operate.images.registry import Registry, ensure_running, local_registry
from infra.toolchain.cache import locked

WORKERS = 2  # the engine builds one step of an image at a time; two images keep two cores busy


def stale(catalogue: Catalogue, lock: ImageLock, root: Path, registry: Registry) -> list[str]:
    """Names of images whose inputs (or parent) differ from what the lock says, parents first; asks nobody."""
    outdated: list[str] = []
    for image in catalogue.images.values():
        entry = lock.get(image.name)
        parent = lock.get(image.parent) if image.parent else None
        current = (
            entry is not None
            and entry.digest.startswith(f"{registry.repository(image.name)}@")
            and image.parent not in outdated
            and entry.input_hash in possible_hashes(catalogue, image, root, parent)
        )
        if not current:
            outdated.append(image.name)
    return outdated


def possible_hashes(catalogue: Catalogue, image: Image, root: Path, parent: LockedImage | None) -> list[str]:
    """The input hashes an up-to-date image may have: one, or two for the base (upstream, bootstrapped)."""
    files = context_files(image, root)
    if image.parent is None:
        return [input_hash(files, source) for source in rootfs.possible_sources(catalogue.root)]
    return [input_hash(files, parent.image_id)] if parent else []


@dataclass
class _Build:
    """One run: what it works with, and the images it has finished."""

    client: docker.DockerClient
    catalogue: Catalogue
    root: Path
    registry: Registry
    reporter: Reporter
    fresh: bool
    lock: ImageLock
    guard: Lock = field(default_factory=Lock)  # of `lock`: images are built side by side

    def ensure_image(self, image: Image) -> tuple[EngineImage, str]:
        """The image in the engine, built if needed, and its input hash."""
        files = context_files(image, self.root)
        if image.parent is None:
            source, parent = rootfs.provide(self.client, self.catalogue.root, self.reporter)
            inputs = input_hash(files, source)
        else:
            above = self.lock.require(image.parent)
            parent, inputs = self._present(above), input_hash(files, above.image_id)
        tag = f"{self.registry.repository(image.name)}:{inputs[:16]}"
        known = None if self.fresh else recipe.find_built(self.client, tag, inputs)
        if known is not None:
            return known, inputs
        self.reporter.step(image.name, "building")
        if image.wheels:
            said = partial(self.reporter.step, image.name)
            files = [*files, *wheels.fetch(image.wheels, self.root, said)]
        log = self.root / ".gad" / "logs" / f"image-{image.name}.log"
        plan = recipe.Recipe(image=image, files=files, input_hash=inputs, parent=parent, tag=tag, log=log)
        return recipe.build(plan, self.reporter, fresh=self.fresh), inputs

    def entry(self, image: Image, built: EngineImage, inputs: str, digest: str) -> LockedImage:
        """What the lock says of it."""
        above = self.client.images.get(self.lock.require(image.parent).image_id) if image.parent else None
        size = int(built.attrs["Size"])
        old = self.lock.get(image.name)
        return LockedImage(
            name=image.name,
            digest=digest,
            image_id=str(built.id),
            input_hash=inputs,
            version=recipe.installed_version(self.client, built, image.package) or image.version,
            size_bytes=size,
            own_bytes=size - int(above.attrs["Size"]) if above else size,
            built_at=recipe.built_at(built),
            published=old.published if old and old.image_id == built.id else {},
        )

    def publish(self, image: Image, built: EngineImage, inputs: str) -> LockedImage:
        """Push to the local registry; the lock's entry with the digest it answered."""
        digest = push(
            self.client, str(built.id), self.registry.repository(image.name), inputs[:16], self.reporter
        )
        entry = self.entry(image, built, inputs, digest)
        self.reporter.done(
            image.name, f"{entry.version}, {digest.rsplit('/', 1)[-1][: len(image.name) + 20]}…"
        )
        return entry

    def _present(self, above: LockedImage) -> str:
        """The parent, in the engine: pulled from the registry if the engine was cleaned."""
        try:
            self.client.images.get(above.image_id)
        except ImageNotFound:
            with explained(f"pulling {above.name}"):
                repository, _, digest = above.digest.partition("@")
                self.client.images.pull(repository, tag=digest)
        tag = f"{self.registry.repository(above.name)}:{above.input_hash[:16]}"
        self.client.images.get(above.image_id).tag(*tag.rsplit(":", 1))
        return tag


def build_images(
    root: Path,
    reporter: Reporter,
    names: Collection[str] = (),
    *,
    group: Group | None = None,
    fresh: bool = False,
) -> list[LockedImage]:
    """Build and push what is missing or changed; returns the entries of the selected images, parents first.

    Starts the local registry if need be. An unchanged image costs one question to the registry. With `fresh`
    the selected images are built without the engine's layers. Raises GadError.
    """
    catalogue = load_catalogue(root)
    selected = catalogue.select(names, group=group)
    if not fresh and (current := _current(catalogue, selected, root)):
        return current  # nobody has to wait for another build to learn that there is nothing to do
    with (
        locked(
            root / ".gad" / "images.build.lock", lambda: reporter.say("another build is running: waiting")
        ),
        closing(connect()) as client,
    ):
        return _build_locked(client, root, reporter, catalogue, selected, fresh=fresh)


def _current(catalogue: Catalogue, selected: list[Image], root: Path) -> list[LockedImage]:
    """The entries of `selected` if all are up to date and in the running registry, else nothing."""
    registry, lock = local_registry(), read_lock(root)
    outdated = set(stale(catalogue, lock, root, registry))
    if any(image.name in outdated for image in selected) or not registry.answers():
        return []
    entries = [lock.require(image.name) for image in selected]
    return [] if registry.missing([entry.digest for entry in entries]) else entries


def _build_locked(
    client: docker.DockerClient,
    root: Path,
    reporter: Reporter,
    catalogue: Catalogue,
    selected: list[Image],
    *,
    fresh: bool,
) -> list[LockedImage]:
    registry = local_registry()
    lock = read_lock(root)
    outdated = set(stale(catalogue, lock, root, registry))
    locally = lock.get("registry")
    with explained("starting the local registry"):
        running = ensure_running(client, registry, _if_present(client, locally))
    if running:
        wanted = [
            entry for image in selected if (entry := lock.get(image.name)) and image.name not in outdated
        ]
        absent = registry.missing([entry.digest for entry in wanted])
        outdated |= {entry.name for entry in wanted if entry.digest in absent}
    todo = [image for image in selected if fresh or image.name in outdated]
    if todo or not running:
        run = _Build(client, catalogue, root, registry, reporter, fresh, lock)
        _foundation(run, {image.name for image in todo}, running=running)
        _rest(run, todo)
        lock = run.lock
    return [lock.require(image.name) for image in selected]


def _if_present(client: docker.DockerClient, entry: LockedImage | None) -> str | None:
    if entry is None:
        return None
    try:
        return client.images.get(entry.image_id).id
    except ImageNotFound:
        return None


def _foundation(run: _Build, todo: set[str], *, running: bool) -> None:
    """The base, and the registry that every push needs; both are pushed once it runs."""
    base, registry = run.catalogue.images["base"], run.catalogue.images["registry"]
    made: list[tuple[Image, EngineImage, str]] = []
    for image in (base, registry):
        if image.name in todo or not running:
            built, inputs = run.ensure_image(image)
            # A provisional entry: the digest is the registry's word, and the registry may not run yet.
            provisional = f"{run.registry.repository(image.name)}@{built.id}"
            run.lock = run.lock.with_images([run.entry(image, built, inputs, provisional)])
            made.append((image, built, inputs))
    if not running:
        with explained("starting the local registry"):
            ensure_running(run.client, run.registry, run.lock.require("registry").image_id)
    _record(run, [run.publish(*item) for item in made])


def _rest(run: _Build, todo: list[Image]) -> None:
    images = [image for image in todo if image.group != "foundation"]

    def work(image: Image) -> None:
        _record(run, [run.publish(image, *run.ensure_image(image))])

    with ThreadPoolExecutor(WORKERS) as pool:
        futures: list[Future[None]] = [pool.submit(work, image) for image in images]
        finished, waiting = wait(futures, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
    for future in finished:
        future.result()


def _record(run: _Build, entries: list[LockedImage]) -> None:
    # After each image, so that an interrupted run keeps what it finished.
    with run.guard:
        run.lock = run.lock.with_images(entries)
        write_lock(run.root, run.lock)
