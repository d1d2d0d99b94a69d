"""`gad images`: the arguments; the work is `infra.operate.images`, imported when it is wanted."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.checkout import ROOT, complete_stack
from infra.cli.output import AsJson

commands = typer.Typer(help="Container images: build, push, list, lock.", no_args_is_help=True)


def complete_image(incomplete: str) -> list[str]:
    """One image per folder with a recipe; for shell completion."""
    found = (recipe.parent.name for recipe in ROOT.glob("config/images/*/Dockerfile"))
    return sorted(name for name in found if name.startswith(incomplete))


Names = Annotated[
    list[str] | None,
    typer.Argument(help="Images; all of the group if none is named.", autocompletion=complete_image),
]
OfGroup = Annotated[str | None, typer.Option("--group", help="core, monitoring, foundation or lab.")]


@commands.command()
def build(
    names: Names = None,
    group: OfGroup = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Take the newest package revisions.")] = False,
) -> None:
    """Build what is missing or changed, push it to the local registry, record the digests.

    Example:  gad images build app
    """
    from infra.operate.images.commands import build_command

    build_command(names, group, refresh)


@commands.command()
def push(
    to: Annotated[str, typer.Option("--to", help="Registry and path, e.g. registry.example.org/gad.")],
    names: Names = None,
    group: OfGroup = None,
) -> None:
    """Push built images to another registry and record their digests there.

    Example:  gad images push --to registry.example.org/gad
    """
    from infra.operate.images.commands import push_command

    push_command(to, names, group)


@commands.command("list")
def list_images(as_json: AsJson = False) -> None:
    """Show what there is, its size and digest, and whether it is what the sources say.

    Example:  gad images list
    """
    from infra.operate.images.commands import list_command

    list_command(as_json)


@commands.command()
def lock(
    stack: Annotated[
        str, typer.Option("--stack", help="The stack file to write.", autocompletion=complete_stack)
    ],
    registry: Annotated[
        str | None, typer.Option("--registry", help="Prefix the stack pulls from, as given to `push --to`.")
    ] = None,
    group: OfGroup = "core",
) -> None:
    """Write the digests of the built images into a stack file; no other line changes.

    Example:  gad images lock --stack staging --registry registry.example.org/gad
    """
    from infra.operate.images.commands import lock_command

    lock_command(stack, registry, group)
