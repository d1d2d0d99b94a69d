"""`gad up`, `down`, `clean`, `adopt`, `unlock`: a stack comes, goes, is found again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.checkout import ROOT, Stack
from infra.errors import Exit, GadError

if TYPE_CHECKING:
    from infra.operate.pulumi import Pulumi

commands = typer.Typer()

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def pulumi_of(stack: str) -> Pulumi:
    """The engine for a stack of this checkout."""
    from infra.operate.pulumi import Pulumi

    return Pulumi(ROOT, stack)


def say(text: str) -> None:
    """A line about what is going on, beside the result."""
    typer.echo(f"· {text}", err=True)


@commands.command()
def up(
    stack: Stack = "dev",
    verify: Annotated[bool, typer.Option(help="Verify the stack afterwards.")] = True,
) -> None:
    """Bring a stack to what its file says, verify it, print its URLs.

    Repairs what a killed update left. The same as `pulumi up --refresh`, with checks before.

    Example:  gad up dev
    """
    from infra.operate import up as operate

    desired = operate.up(pulumi_of(stack), say)
    site = desired.file.proxy.site
    url = f"https://{site}" if desired.https_port == 443 else f"https://{site}:{desired.https_port}"
    if verify:
        from infra.cli.verify import verify as run

        run(stack)
    typer.echo(f"API        {url}/api/v1")
    typer.echo(f"health     {url}/health/ready")
    typer.echo(f"reference  {url}/docs")
    if desired.file.proxy.tls == "internal":
        typer.echo(f"CA         .gad/{stack}/ca.crt   (curl --cacert .gad/{stack}/ca.crt {url}/health/ready)")


@commands.command()
def down(stack: Stack = "dev") -> None:
    """Remove a stack's containers and networks; its data, secrets and ports stay reserved.

    Example:  gad down dev
    """
    from infra.operate import up as operate

    operate.down(pulumi_of(stack), say)
    typer.echo(f"stack {stack} is down; its volumes are kept, `gad up {stack}` brings it back")


@commands.command()
def clean(
    stack: Stack = "dev",
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Only what the stack's state does not know.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Remove a stack and its data for good, after asking.

    Example:  gad clean dev    or, where its state was lost:  gad clean dev --orphans
    """
    from infra.operate import up as operate

    pulumi = pulumi_of(stack)
    if orphans:
        found = operate.orphans(pulumi)
        if not found:
            typer.echo(f"nothing of stack {stack} is unknown to its state")
            return
        for item in found:
            typer.echo(f"{item.kind:<10} {item.name}")
        confirm(stack, yes, f"Remove these {len(found)}, volumes with their data?")
        operate.remove_orphans(pulumi, found)
        typer.echo(f"removed {len(found)}")
        return
    confirm(stack, yes, f"Remove stack {stack} with its volumes and all data in them?")
    operate.clean(pulumi, say)
    typer.echo(f"stack {stack} is gone")


def confirm(stack: str, yes: bool, question: str) -> None:
    """Ask for the stack's name. Raises GadError (refused) for any other answer."""
    if yes:
        return
    typer.echo(question, err=True)
    if typer.prompt(f"Type the stack's name ({stack}) to go on", err=True) != stack:
        raise GadError(
            "not confirmed; nothing was removed",
            remedy=f"type {stack} when asked, or give --yes",
            exit_code=Exit.REFUSED,
        )


@commands.command()
def adopt(stack: Stack = "dev") -> None:
    """Take over containers, networks and volumes whose state was lost, keeping their data.

    Example:  gad adopt dev
    """
    from infra.operate.adopt import adopt as operate

    names = operate(pulumi_of(stack), say)
    typer.echo(f"took over {len(names)}: {', '.join(names)}" if names else "nothing to take over")
    typer.echo(f"`gad up {stack}` completes the rest")


@commands.command()
def unlock(stack: Stack = "dev") -> None:
    """Remove the lock of an update that was killed; a living one is named and kept.

    Example:  gad unlock dev
    """
    from infra.operate import up as operate

    operate.unlock(pulumi_of(stack), say)
    typer.echo(f"stack {stack} is not locked")
