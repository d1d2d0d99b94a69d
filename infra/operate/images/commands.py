"""What the commands of `gad images` do and print; the arguments are read in infra/cli/images.py."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.table import Table

from infra.errors import Exit, GadError
from infra.image_lock import LockedImage, read_lock, write_lock
from infra.operate.images.build import build_images, stale
from infra.operate.images.catalogue import Group, load_catalogue
from infra.operate.images.engine import connect
from infra.operate.images.pins import pin
from infra.operate.images.progress import reporting
from infra.operate.images.push import push
from infra.operate.images.registry import local_registry

ROOT = Path(__file__).resolve().parents[3]
TABLE_WIDTH = 100  # the longest Debian version fits; cut digests and versions are of no use


def build_command(names: list[str] | None = None, group: str | None = None, refresh: bool = False) -> None:
    """Build what is missing or changed, push it to the local registry, record the digests."""
    before = read_lock(ROOT)
    with reporting() as reporter:
        entries = build_images(ROOT, reporter, names or (), group=_group(group), fresh=refresh)
    changed = [entry.name for entry in entries if entry != before.get(entry.name)]
    verdict = f"changed: {', '.join(changed)}" if changed else "nothing changed"
    print(f"{len(entries)} images up to date; {verdict}.")


def push_command(to: str, names: list[str] | None = None, group: str | None = None) -> None:
    """Push built images to another registry and record their digests there."""
    prefix = to.rstrip("/")
    published: list[LockedImage] = []
    with reporting() as reporter, closing(connect()) as client:
        for entry in build_images(ROOT, reporter, names or (), group=_group(group)):
            digest = push(client, entry.image_id, f"{prefix}/{entry.name}", entry.input_hash[:16], reporter)
            published.append(entry.model_copy(update={"published": {**entry.published, prefix: digest}}))
            reporter.done(entry.name, digest)
    write_lock(ROOT, read_lock(ROOT).with_images(published))
    print(f"{len(published)} images pushed; `gad images lock --stack … --registry {prefix}` pins them.")


def list_command(as_json: bool = False) -> None:
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
    table = Table("image", "version", box=None, pad_edge=False)
    for title in ("size MB", "own MB"):
        table.add_column(title, justify="right")
    for title in ("digest", "built (UTC)", "up to date"):
        table.add_column(title)
    for column in table.columns:
        column.no_wrap = True
    for name, image in catalogue.images.items():
        table.add_row(name, *_cells(lock.get(name), image.version, current=name not in outdated))
    Console(width=max(Console().width, TABLE_WIDTH)).print(table)
    if outdated:
        print(f"{len(outdated)} not up to date: run `gad images build`.")


def lock_command(stack: str, registry: str | None = None, group: str | None = "core") -> None:
    """Write the digests of the built images into a stack file; no other line changes."""
    catalogue, lock = load_catalogue(ROOT), read_lock(ROOT)
    file = ROOT / f"Pulumi.{stack}.yaml"
    if not file.exists():
        raise GadError(
            f"{file.name} does not exist", remedy="name a stack that has a file", exit_code=Exit.USAGE
        )
    wanted = _group(group) or "core"
    chosen = [image.name for image in catalogue.images.values() if image.group == wanted]
    before = file.read_text()
    after = pin(before, _references([lock.require(name) for name in chosen], registry), source=file.name)
    if after == before:
        print(f"{file.name} already names these digests; nothing changed.")
        return
    staged = file.with_suffix(".yaml.new")
    staged.write_text(after)
    staged.replace(file)
    print(
        f"{file.name} now names {', '.join(chosen)} by digest; "
        f"`pulumi preview --stack {stack}` shows what follows."
    )


def _references(entries: list[LockedImage], registry: str | None) -> dict[str, str]:
    """Image to name@sha256:… in `registry`; without one, in the only registry that has them all."""
    prefix = registry.rstrip("/") if registry else _common_registry(entries)
    local = local_registry().prefix
    found = {e.name: e.digest if prefix == local else e.published.get(prefix) for e in entries}
    missing = [name for name, reference in found.items() if reference is None]
    if missing:
        raise GadError(
            f"image {missing[0]} as built now is not in {prefix}",
            remedy=f"run `gad images push --to {prefix}`",
        )
    return {name: reference for name, reference in found.items() if reference is not None}


def _common_registry(entries: list[LockedImage]) -> str:
    common = set.intersection(*(set(entry.published) for entry in entries))
    if len(common) != 1:
        raise GadError(
            f"the images as built now are in {len(common) or 'no'} registries that a server could pull from",
            remedy="run `gad images push --to REGISTRY`, or name one with --registry "
            f"({local_registry().prefix} serves this machine only)",
            exit_code=Exit.USAGE,
        )
    return common.pop()


def _group(value: str | None) -> Group | None:
    groups: dict[str, Group] = {name: name for name in get_args(Group)}
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
        entry.digest.partition("@sha256:")[2][:12],
        f"{entry.built_at:%Y-%m-%d %H:%M}",
        "yes" if current else "no",
    ]
