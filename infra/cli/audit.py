"""`gad audit`: the audit trail of a running stack."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.checkout import ROOT, Stack

commands = typer.Typer(help="The audit trail of a running stack.", no_args_is_help=True)


@commands.callback()
def audit() -> None:
    """The audit trail of a running stack."""


@commands.command("verify")
def verify(
    stack: Stack = "dev",
    anchor: Annotated[
        str | None,
        typer.Option(metavar="SEQ:HASH", help="A head printed before, which must still be there."),
    ] = None,
) -> None:
    """Follow the chain of audit events from the first. Exit code 3, and the event, if it was altered.

    The head it prints shows a cut-off end too: keep it elsewhere, and give it back next time.

    Example:  gad audit verify dev
    """
    from infra.operate.audit import verify as operate
    from infra.operate.outputs import read_outputs
    from infra.operate.pulumi import Pulumi

    outputs = read_outputs(stack, Pulumi(ROOT, stack).deployment().outputs)
    said, code = operate(outputs, anchor)
    typer.echo(said)
    if code:
        raise typer.Exit(code)
