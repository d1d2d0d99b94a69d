"""`gad settings` and `gad secrets`: what a stack file may hold."""

from __future__ import annotations

import typer

from infra.cli.checkout import ROOT, Stack

settings_commands = typer.Typer(help="Stack files: check one, print their schema.", no_args_is_help=True)
secrets_commands = typer.Typer(help="Secrets of a stack.", no_args_is_help=True)


@settings_commands.command()
def schema() -> None:
    """Print the JSON Schema of a stack file, which editors use.

    Example:  gad settings schema > config/stack.schema.json
    """
    from infra.operate.stack_file import json_schema

    typer.echo(json_schema(), nl=False)


@settings_commands.command()
def check(stack: Stack = "dev") -> None:
    """Check a stack file: every key, every value, and that its secrets open.

    Example:  gad settings check staging
    """
    from infra.operate.preflight import load_settings
    from infra.operate.pulumi import Pulumi

    desired = load_settings(Pulumi(ROOT, stack))
    typer.echo(f"Pulumi.{stack}.yaml is complete ({desired.file.environment}, {desired.file.server.kind})")


@secrets_commands.command()
def init(stack: Stack) -> None:
    """Create the strong secrets that a stack file lacks, and its passphrase if there is none.

    Example:  gad secrets init staging
    """
    from infra.operate.pulumi import Pulumi
    from infra.operate.secrets import init as operate

    made = operate(Pulumi(ROOT, stack))
    typer.echo(
        f"created {len(made)}: {', '.join(made)}" if made else "every secret is there; nothing changed"
    )
    typer.echo(f"keep .gad/{stack}.passphrase safe: without it these secrets are lost")
