"""`gad verify`: is what runs what was declared?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_json
from infra.errors import Exit

if TYPE_CHECKING:
    from infra.operate.verify import Report

commands = typer.Typer()

EveryCheck = Annotated[bool, typer.Option("--all", help="List every check.")]
EvidenceFile = Annotated[
    Path | None,
    typer.Option(
        "--evidence",
        metavar="FILE",
        help="Also write what was found of each control: JSON, or a table if FILE ends in .md.",
        dir_okay=False,
    ),
]


@commands.command()
def verify(
    stack: Stack = "dev",
    as_json: AsJson = False,
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Also write a JUnit report.", dir_okay=False),
    ] = None,
    every_check: EveryCheck = False,
    evidence: EvidenceFile = None,
) -> None:
    """Check a running stack against what it exported: containers, ports, TLS, database, secrets, release.

    Where its file asks for a hardened server, each control of that as well. Changes nothing. Exit code 0 only
    if checks were made and all of them passed, else 1.

    Example:  gad verify staging --evidence staging.json
    """
    from infra.operate.pulumi import Pulumi
    from infra.operate.verify import hardened
    from infra.operate.verify import verify as verify_stack

    report = verify_stack(Pulumi(ROOT, stack), junit=junit)
    if evidence is not None:
        from infra.operate.evidence import write

        write(evidence, ROOT, report, hardened(ROOT, stack))
    show(report, as_json=as_json, every_check=every_check)


def show(report: Report, *, as_json: bool, every_check: bool) -> None:
    """Print a report; raises Exit 1 if it is no proof."""
    from rich.console import Console

    from infra.operate import verify_table

    if as_json:
        print_json({"ok": report.is_as_declared, **report.model_dump(mode="json")})
    else:
        Console(highlight=False, soft_wrap=False).print(verify_table.render(report, every_check=every_check))
        typer.echo(verify_table.verdict(report))
    if not report.is_as_declared:
        raise typer.Exit(Exit.FAILED)
