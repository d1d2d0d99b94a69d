"""The checkout this `gad` belongs to, and the stacks in it."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from infra.errors import Exit, GadError

ROOT = Path(__file__).resolve().parents[2]


def stack_names(root: Path = ROOT) -> list[str]:
    """One stack per file `Pulumi.<stack>.yaml`, sorted."""
    return sorted(path.name.split(".", 1)[1].removesuffix(".yaml") for path in root.glob("Pulumi.*.yaml"))


def complete_stack(incomplete: str) -> list[str]:
    """For shell completion."""
    return [name for name in stack_names() if name.startswith(incomplete)]


def known_stack(value: str) -> str:
    """Refuse a name without a file, before anything else happens. Raises GadError."""
    names = stack_names()
    if value in names:
        return value
    near = get_close_matches(value, names, n=1)
    raise GadError(
        f"there is no stack {value!r} (no Pulumi.{value}.yaml)",
        remedy=f"did you mean {near[0]!r}?"
        if near
        else f"use one of: {', '.join(names) or 'none exist yet'}",
        exit_code=Exit.USAGE,
    )


Stack = Annotated[
    str,
    typer.Argument(
        metavar="STACK",
        help="The stack, as in Pulumi.STACK.yaml.",
        autocompletion=complete_stack,
        callback=known_stack,
        show_default=True,
    ),
]
"""Every command that works on a stack takes it like this: completed, and checked before it starts."""
