"""`gad bench`: what people wait for, measured."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_json
from infra.errors import Exit, GadError

commands = typer.Typer()


@commands.command()
def bench(
    stack: Stack = "dev",
    restart: Annotated[
        bool, typer.Option(help="Also measure taking the stack down and up; its data is kept.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a running dev stack and print each number beside its target.

    Updates with nothing to do, the nearest officers by SQL and over TLS, a rebuild after one changed line,
    the whole stack down and up, sizes. Needs the district of `gad demo`. Exit code 1 if a target is missed.

    Example:  gad bench dev --no-restart
    """
    if restart and not yes:
        _confirm(stack)
    from rich.console import Console

    from infra.operate import bench_table
    from infra.operate.bench import bench as measure
    from infra.operate.bench_figure import missed
    from infra.operate.images.progress import reporting
    from infra.operate.pulumi import Pulumi

    with reporting() as reporter:
        figures = measure(Pulumi(ROOT, stack), reporter, restart=restart)
    beyond = missed(figures)
    if as_json:
        rows = [{**figure.model_dump(mode="json"), "ok": figure.is_met} for figure in figures]
        print_json({"ok": not beyond, "figures": rows})
    else:
        Console(highlight=False).print(bench_table.render(figures))
        typer.echo(bench_table.verdict(figures))
    if beyond:
        raise typer.Exit(Exit.FAILED)


def _confirm(stack: str) -> None:
    question = f"Stack {stack} goes down and comes up again on the way; its data is kept. Go on?"
    if not sys.stdin.isatty() or not typer.confirm(question, err=True):
        raise GadError(
            f"measuring takes stack {stack} down and up, which was not confirmed; nothing was done",
            remedy="give --yes, or --no-restart to leave that out",
            exit_code=Exit.REFUSED,
        )
