"""`gad deploy`, `rollback`, `releases`, `maintenance`: from one version of the API to the next, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_error, print_json
from infra.cli.stack import pulumi_of, say
from infra.errors import GadError

if TYPE_CHECKING:
    from infra.operate.deploy import Report

commands = typer.Typer()


@commands.command()
def deploy(
    stack: Stack = "dev",
    image: Annotated[
        str | None,
        typer.Option("--image", help="Release this digest; it is written into the stack file."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Release what the stack file says, in the idle slot; nobody's request is dropped.

    Each step is a resource that `pulumi preview` names. A version that does not start, fails its own tests or
    does badly in its first seconds is taken back by itself. Exit code 1 then, 4 if it was refused before.

    Example:  gad deploy staging --image registry.example.org/gad/app@sha256:…
    """
    from infra.operate.deploy import deploy as operate

    _tell(operate(pulumi_of(stack), say, image=image), as_json)


@commands.command()
def rollback(
    stack: Stack = "dev",
    fast: Annotated[
        bool, typer.Option("--fast", help="Turn first, within a second; bring the state after it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Go back to the version before, which the idle slot still runs; the schema stays as it is.

    The stack file still asks for the newer one: correct it, or the next release goes forward again.

    Example:  gad rollback staging --fast
    """
    from infra.operate.deploy import roll_back
    from infra.operate.rollback import back_at_once
    from infra.operate.status import short_digest

    pulumi = pulumi_of(stack)
    if fast:
        turned = back_at_once(pulumi)
        serves = f"slot {turned.slot} serves {short_digest(turned.image)}"
        say(f"{serves} after {turned.seconds:.2f} s; now the state")
    told = roll_back(pulumi, say)
    if told.outcome == "released":
        say(f"Pulumi.{stack}.yaml still asks for what was live before: correct it before the next release")
    _tell(told, as_json)


@commands.command()
def releases(
    stack: Stack = "dev",
    count: Annotated[int, typer.Option("--last", min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what was released when, by whom, and how it ended, as the server itself has it written down.

    Example:  gad releases staging --last 5
    """
    from rich.console import Console

    from infra.operate.ledger import read
    from infra.operate.ledger import releases as made_of
    from infra.operate.place import place_of
    from infra.operate.release_table import ledger

    found = made_of(read(place_of(ROOT, stack)))[:count]
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
    elif found:
        Console(highlight=False).print(ledger(found))
    else:
        typer.echo(f"nothing of stack {stack} was released yet")


@commands.command()
def maintenance(
    stack: Stack = "dev",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Bring up what a release never touches: other images or settings of PostgreSQL, Redis, the proxy.

    A verified dump is taken first, and the stack is verified afterwards. The service is interrupted for as
    long as what is replaced takes to start.

    Example:  gad maintenance staging
    """
    from infra.cli.stack import confirm, up
    from infra.operate.maintenance import prepare

    confirm(stack, yes, f"Interrupt stack {stack} to replace what has changed beside the API?")
    say(f"backed up: {prepare(pulumi_of(stack))}")
    up(stack)


def _tell(told: Report, as_json: bool) -> None:
    from rich.console import Console

    from infra.operate import release_table

    if told.exit_code:
        print_error(GadError(told.reason, remedy=told.remedy))
    if as_json:
        print_json(told.model_dump(mode="json"))
    else:
        Console(highlight=False).print(release_table.report(told))
        typer.echo(release_table.verdict(told))
    if told.exit_code:
        raise typer.Exit(told.exit_code)
