"""`gad setup` and `gad env`: from a checkout to a working Pulumi."""

from __future__ import annotations

import shlex
from dataclasses import asdict

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_json, print_row

commands = typer.Typer()


@commands.command()
def setup(as_json: AsJson = False) -> None:
    """Get Docker, the Pulumi engine and its plugins, and say which ones and why.

    A second run only looks. `GAD_TOOLCHAIN=official|offline` forces the kind of plugins.

    Example:  gad setup
    """
    from infra.toolchain.progress import Reporter
    from infra.toolchain.setup import set_up

    done = []
    for step in set_up(ROOT, Reporter()):
        done.append(asdict(step))
        if not as_json:
            print_row([step.name, step.used, step.why], widths=[8, 48])
    if as_json:
        print_json(done)
    else:
        print_row(["next", 'eval "$(bin/gad env dev)"', "puts gad and pulumi on PATH"], widths=[8, 48])


@commands.command()
def env(stack: Stack = "dev", as_json: AsJson = False) -> None:
    """Print the variables with which a plain `pulumi` and `gad` work on a stack. Nothing in them is secret.

    Example:  eval "$(bin/gad env dev)"  and then  pulumi preview
    """
    import os

    from infra.toolchain.environment import PASSPHRASE_FILE, environment, superseded

    variables = environment(ROOT, stack)
    gone = superseded(ROOT, stack)
    passphrase = variables.get(PASSPHRASE_FILE)
    if passphrase and not os.path.exists(passphrase):  # noqa: PTH110 - a string as the shell will see it
        typer.echo(f"note: {passphrase} does not exist yet; `gad secrets init {stack}` creates it", err=True)
    if as_json:
        print_json({"set": variables, "unset": list(gone)})
        return
    for name in gone:
        typer.echo(f"unset {name}")
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
