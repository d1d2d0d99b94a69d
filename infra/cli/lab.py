"""`gad lab`: servers to try things on; the work is `infra.operate.lab_engine`, imported when it is wanted."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.checkout import ROOT
from infra.cli.output import AsJson, print_json, print_row
from infra.errors import Exit, GadError

commands = typer.Typer(
    help="Disposable Debian servers on this machine, for tests and trials.", no_args_is_help=True
)


def complete_lab(incomplete: str) -> list[str]:
    """The labs that have keys here; for shell completion, which may not wait for an engine."""
    found = (path.parent.name for path in ROOT.glob(".gad/lab/*/known_hosts"))
    return sorted(name for name in found if name.startswith(incomplete))


Name = Annotated[str, typer.Argument(metavar="NAME", help="The lab.", autocompletion=complete_lab)]


@commands.command()
def up(
    name: Name,
    ssh_port: Annotated[
        int | None,
        # 2000 below the last port there is: the highest of its web ports.
        typer.Option("--ssh-port", min=1, max=63535, help="Port of SSH on loopback; else a free one."),
    ] = None,
) -> None:
    """Make a server (Debian 13 with systemd and sshd, nothing hardened), or start the one there is.

    Example:  gad lab up demo
    """
    from infra.operate import lab, lab_engine

    made = lab_engine.up(ROOT, name, lambda text: typer.echo(f"· {text}", err=True), ssh_port=ssh_port)
    typer.echo(f"lab {name} is up: SSH at {lab.ADDRESS}:{made.port}, its own address is {made.address}")
    typer.echo(f"web         https://localhost:{made.port + lab.HTTPS_ABOVE}, once a stack is on it")
    typer.echo(f"sign in     ssh -F {lab.FOLDER}/{name}/ssh_config {name}")
    typer.echo(f"remove      gad lab down {name}")
    typer.echo(
        f"stack file  below `config:` ({lab.FOLDER}/{name}/stack.yaml), in place of its `server` and `proxy`"
    )
    typer.echo((made.name.folder / "stack.yaml").read_text(encoding="utf-8"), nl=False)


@commands.command()
def down(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove a server with all that is on it, its network and its keys.

    Example:  gad lab down demo
    """
    from infra.operate import lab_engine

    if not yes and not typer.confirm(f"Remove lab {name} with all that is on it?", err=True):
        raise GadError(
            "not confirmed; nothing was removed", remedy="answer y, or give --yes", exit_code=Exit.REFUSED
        )
    lab_engine.down(ROOT, name)
    typer.echo(f"lab {name} is gone")


@commands.command("list")
def list_labs(as_json: AsJson = False) -> None:
    """Show the servers of this checkout and where they are.

    Example:  gad lab list
    """
    from infra.operate import lab, lab_engine

    found = lab_engine.labs(ROOT)
    if as_json:
        print_json([dict(each.row) for each in found])
        return
    widths = [16, 10, 18, 16]
    print_row(["lab", "state", "ssh", "address", "container"], widths)
    for each in found:
        ssh = f"{lab.ADDRESS}:{each.port}"
        print_row([each.name.name, each.state, ssh, each.address or "", each.name.prefix], widths)
