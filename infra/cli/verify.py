"""`gad verify`: is what runs what was declared?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_json
from infra.errors import Exit

commands = typer.Typer()


@commands.command()
def verify(
    stack: Stack = "dev",
    as_json: AsJson = False,
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Also write a JUnit report.", dir_okay=False),
    ] = None,
    every_check: Annotated[bool, typer.Option("--all", help="List every check.")] = False,
) -> None:
    """Check a running stack against what it exported: containers, ports, TLS, database, secrets, release.

    Changes nothing. Exit code 0 only if checks were made and all of them passed, else 1.

    Example:  gad verify staging --junit verify.xml
    """
    from rich.console import Console

    from infra.operate import verify_table
    from infra.operate.pulumi import Pulumi
    from infra.operate.verify import verify as verify_stack

    report = verify_stack(Pulumi(ROOT, stack), junit=junit)
    if as_json:
        print_json({"ok": report.is_as_declared, **report.model_dump(mode="json")})
    else:
        Console(highlight=False, soft_wrap=False).print(verify_table.render(report, every_check=every_check))
        typer.echo(verify_table.verdict(report))
    if not report.is_as_declared:
        raise typer.Exit(Exit.FAILED)
