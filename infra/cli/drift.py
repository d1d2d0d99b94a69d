"""`gad drift`: each difference between what is declared and what is there."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_json
from infra.errors import Exit

commands = typer.Typer()


@commands.command()
def drift(
    stack: Stack = "dev",
    as_json: AsJson = False,
    fix: Annotated[bool, typer.Option("--fix", help="Put back what can be, and say what is left.")] = False,
) -> None:
    """Name each difference between what a stack's file and state declare and what is there.

    Asks Pulumi, the dry run of the server's deploy, the suite of `gad verify`, and the server itself, all at
    once. Changes nothing without --fix. Exit code 0: no difference, 1: differences, 2: wrong usage.

    Example:  gad drift staging
    """
    from infra.operate.drift import drift as compare
    from infra.operate.drift_fix import fix as put_back
    from infra.operate.pulumi import Pulumi

    pulumi = Pulumi(ROOT, stack)
    found = compare(pulumi)
    if fix and not found.is_clean:
        for each in found.differences:
            typer.echo(f"· {each.line}", err=True)
        found = put_back(pulumi, found, lambda text: typer.echo(f"· {text}", err=True))
    if as_json:
        print_json({"ok": found.is_clean, **found.model_dump(mode="json")})
    else:
        for each in found.differences:
            typer.echo(f"{each.line}\n  remedy: {each.remedy}")
        left = "left" if fix else "found"
        sources = ", ".join(found.sources)
        count = len(found.differences)
        typer.echo(f"{count or 'no'} difference{'' if count == 1 else 's'} {left} ({sources})")
    if not found.is_clean:
        raise typer.Exit(int(Exit.FAILED))
