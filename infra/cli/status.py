"""`gad status`: one screen about a stack."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_json
from infra.errors import Exit

commands = typer.Typer()


@commands.command()
def status(
    stack: Stack = "dev",
    as_json: AsJson = False,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Measure volumes too; slow when they are large.")
    ] = False,
) -> None:
    """Show services, the slot in rotation, digests, health, volumes and URLs of a stack.

    Changes nothing. Exit code 0 if everything is well, else 1.

    Example:  gad status dev
    """
    from rich.console import Console

    from infra.operate import status_table
    from infra.operate.pulumi import Pulumi
    from infra.operate.status import status as look

    seen = look(Pulumi(ROOT, stack), sizes=sizes)
    if as_json:
        verdict = {"verdict": seen.verdict, "reasons": list(seen.reasons)}
        print_json({**verdict, **seen.model_dump(mode="json")})
    else:
        Console(highlight=False).print(status_table.render(seen))
        typer.echo(status_table.verdict(seen))
    if seen.verdict != "healthy":
        raise typer.Exit(Exit.FAILED)
