"""`gad host`: the server below a stack. The work is `infra.operate.server_plan`, imported when wanted."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_json
from infra.cli.verify import EveryCheck, EvidenceFile, show
from infra.errors import Exit

commands = typer.Typer(
    help="The server below a stack: make it ready, see what differs.", no_args_is_help=True
)


class _Role(Enum):
    app = "app"
    data = "data"


OfRole = Annotated[
    _Role | None, typer.Option("--role", help="Only this one of a stack's two servers; without it, both.")
]


@commands.command()
def apply(stack: Stack, as_json: AsJson = False, role: OfRole = None) -> None:
    """Make a stack's server what its file and config/controls.yaml say. `pulumi up` does it as well.

    Example:  gad host apply staging
    """
    from infra.operate import server_plan

    done = server_plan.apply(ROOT, stack, role=role.value if role is not None else None)
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
    """Check each control on a stack's servers, over SSH; no stack has to run there. Changes nothing.

    Exit code 0 only if all of them hold, else 1.

    Example:  gad host verify staging --evidence staging.json
    """
    from infra.operate.evidence import write
    from infra.operate.verify import hardened, verify_servers

    report = verify_servers(ROOT, stack)
    if evidence is not None:
        write(evidence, ROOT, report, hardened(ROOT, stack))
    show(report, as_json=as_json, every_check=every_check)


@commands.command()
def controls() -> None:
    """Print docs/controls.md: what holds on a server, why, and whose demand it is.

    Example:  gad host controls > docs/controls.md
    """
    from infra.operate.controls_table import page

    typer.echo(page(ROOT), nl=False)
