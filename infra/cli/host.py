"""`gad host`: the server below a stack. The work is `infra.operate.server_plan`, imported when wanted."""

from __future__ import annotations

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_json
from infra.cli.verify import EveryCheck, EvidenceFile, show
from infra.errors import Exit

commands = typer.Typer(
    help="The server below a stack: make it ready, see what differs.", no_args_is_help=True
)


@commands.command()
def apply(stack: Stack, as_json: AsJson = False) -> None:
    """Make a stack's server what its file and config/controls.yaml say. `pulumi up` does it as well.

    Example:  gad host apply staging
    """
    from infra.operate import server_plan

    done = server_plan.apply(ROOT, stack)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    for name in done.changed:
        typer.echo(f"changed  {name}")
    typer.echo(f"{len(done.changed)} of {done.operations} operations changed something")


@commands.command()
def diff(stack: Stack, as_json: AsJson = False) -> None:
    """Say what `gad host apply` would change, and change nothing. Exit code 3 if anything differs.

    Example:  gad host diff staging
    """
    from infra.operate import server_plan

    found = server_plan.apply(ROOT, stack, dry=True)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        for name in found.changed:
            typer.echo(f"differs  {name}")
        typer.echo(f"{len(found.changed)} of {found.operations} operations would change something")
    if found.changed:
        raise typer.Exit(int(Exit.DIFFERENT))


@commands.command()
def verify(
    stack: Stack, as_json: AsJson = False, every_check: EveryCheck = False, evidence: EvidenceFile = None
) -> None:
    """Check each control on a stack's server, over SSH; no stack has to run on it. Changes nothing.

    Exit code 0 only if all of them hold, else 1.

    Example:  gad host verify staging --evidence staging.json
    """
    from infra.operate import server_plan
    from infra.operate.evidence import write
    from infra.operate.verify import ServerUnderTest, verify_server

    asked = server_plan.plan_of(ROOT, stack)
    server = ServerUnderTest(access=asked.access, plan=asked.plan)
    report = verify_server(ROOT, stack, server)
    if evidence is not None:
        write(evidence, ROOT, report, server)
    show(report, as_json=as_json, every_check=every_check)


@commands.command()
def controls() -> None:
    """Print docs/controls.md: what holds on a server, why, and whose demand it is.

    Example:  gad host controls > docs/controls.md
    """
    from datetime import UTC, datetime

    from infra.host.controls import load
    from infra.operate.controls_table import table

    typer.echo(table(load(ROOT, today=datetime.now(UTC).date())), nl=False)
