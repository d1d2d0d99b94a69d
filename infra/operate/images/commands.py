"""`gad images …`: arguments in, tables and digests out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra.errors import Exit, GadError
from infra.operate.images.build import build_images, stale
from infra.operate.images.catalogue import Group, load_catalogue
from infra.operate.images.engine import connect
from infra.operate.images.lock import ImageLock, LockedImage, read_lock, write_lock
from infra.operate.images.pins import pin
from infra.operate.images.progress import reporting
from infra.operate.images.push import push
from infra.operate.images.registry import local_registry

ROOT = Path(__file__).resolve().parents[3]

Names = Annotated[list[str] | None, typer.Argument(help="images; all of the group if none is named")]
OfGroup = Annotated[str | None, typer.Option("--group", help="core, monitoring or foundation")]
Json = Annotated[bool, typer.Option("--json", help="for programs")]


def images_app() -> typer.Typer:
    """The commands, to be added to `gad` under the name images."""
    app = typer.Typer(help="Container images: build, push, list, lock.", no_args_is_help=True)
    app.command("build")(build_command)
    app.command("push")(push_command)
    app.command("list")(list_command)
    app.command("lock")(lock_command)
    return app


def build_command(
    names: Names = None,
    group: OfGroup = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="take the newest package revisions")] = False,
) -> None:
    """Build what is missing or changed, push it to the local registry, record the digests."""
    before = read_lock(ROOT)
    with reporting() as reporter:
        entries = build_images(ROOT, reporter, names or (), group=_group(group), fresh=refresh)
    changed = [entry.name for entry in entries if entry != before.get(entry.name)]
    verdict = f"changed: {', '.join(changed)}" if changed else "nothing changed"
    print(f"{len(entries)} images up to date; {verdict}.")


def push_command(
    to: Annotated[str, typer.Option("--to", help="registry and path, e.g. registry.example.org/gad")],
    names: Names = None,
    group: OfGroup = None,
) -> None:
    """Push built images to another registry and record their digests there."""
    prefix = to.rstrip("/")
    with reporting() as reporter:
        entries = build_images(ROOT, reporter, names or (), group=_group(group))
        client = connect()
        published: list[LockedImage] = []
        for entry in entries:
            digest = push(client, entry.image_id, f"{prefix}/{entry.name}", entry.input_hash[:16], reporter)
            published.append(entry.model_copy(update={"published": {**entry.published, prefix: digest}}))
            reporter.done(entry.name, digest)
    write_lock(ROOT, read_lock(ROOT).with_images(published))
    print(f"{len(published)} images pushed; `gad images lock --stack … --registry {prefix}` pins them.")


def list_command(as_json: Json = False) -> None:
    """What there is, its size and digest, and whether it is what the sources say."""
    catalogue, lock = load_catalogue(ROOT), read_lock(ROOT)
    outdated = set(stale(catalogue, lock, ROOT, local_registry()))
    if as_json:
        rows = [
            {
                **(entry.model_dump(mode="json") if (entry := lock.get(name)) else {"name": name}),
                "group": image.group,
                "built": entry is not None,
                "up_to_date": name not in outdated,
            }
            for name, image in catalogue.images.items()
        ]
        print(json.dumps(rows, indent=2))
        return
    table = Table("image", "group", "version", box=None, pad_edge=False)
    for title in ("size MB", "own MB"):
        table.add_column(title, justify="right")
    for title in ("digest", "built (UTC)", "up to date"):
        table.add_column(title, no_wrap=True)
    for name, image in catalogue.images.items():
        table.add_row(name, image.group, *_cells(lock.get(name), image.version, current=name not in outdated))
    Console().print(table)
    if outdated:
        print(f"{len(outdated)} not up to date: run `gad images build`.")


def lock_command(
    stack: Annotated[str, typer.Option("--stack", help="the stack file to write: Pulumi.<stack>.yaml")],
    registry: Annotated[
        str | None, typer.Option("--registry", help="prefix the stack pulls from, as given to `push --to`")
    ] = None,
    group: OfGroup = "core",
) -> None:
    """Write the digests of the built images into a stack file; no other line changes."""
    catalogue, lock = load_catalogue(ROOT), read_lock(ROOT)
    file = ROOT / f"Pulumi.{stack}.yaml"
    if not file.exists():
        raise GadError(
            f"{file.name} does not exist", remedy="name a stack that has a file", exit_code=Exit.USAGE
        )
    chosen = [image.name for image in catalogue.images.values() if image.group == (_group(group) or "core")]
    before = file.read_text()
    after = pin(before, {name: _reference(lock, name, registry) for name in chosen}, source=file.name)
    if after == before:
        print(f"{file.name} already names these digests; nothing changed.")
        return
    staged = file.with_suffix(".yaml.new")
    staged.write_text(after)
    staged.replace(file)
    print(f"{file.name} now names {', '.join(chosen)} by digest; `gad preview {stack}` shows what follows.")


def _reference(lock: ImageLock, name: str, registry: str | None) -> str:
    entry = lock.require(name)
    if registry is None:
        return entry.digest
    published = entry.published.get(registry.rstrip("/"))
    if published is None:
        raise GadError(
            f"image {name} as built now is not in {registry}", remedy=f"run `gad images push --to {registry}`"
        )
    return published


def _group(value: str | None) -> Group | None:
    groups: dict[str, Group] = {"core": "core", "monitoring": "monitoring", "foundation": "foundation"}
    if value is not None and value not in groups:
        raise GadError(
            f"no group is called {value}", remedy=f"choose from {', '.join(groups)}", exit_code=Exit.USAGE
        )
    return groups[value] if value else None


def _cells(entry: LockedImage | None, declared: str, *, current: bool) -> list[str]:
    if entry is None:
        return [declared, "", "", "", "", "not built"]
    return [
        entry.version,
        f"{entry.size_bytes / 1e6:.0f}",
        f"{entry.own_bytes / 1e6:.0f}",
        entry.digest.partition("@")[2][:19],
        f"{entry.built_at:%Y-%m-%d %H:%M}",
        "yes" if current else "no",
    ]
