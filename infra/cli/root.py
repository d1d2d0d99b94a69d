"""The root of `gad`: which commands there are, and what becomes of their failures."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from infra.cli import (
    audit,
    bench,
    data,
    drift,
    host,
    images,
    judges,
    lab,
    probe,
    release,
    settings,
    setup,
    stack,
    status,
    verify,
)
from infra.cli.output import print_error, usage_error
from infra.errors import Exit, GadError

app = typer.Typer(
    name="gad",
    help="Deploy, verify and operate a GRUPO_GAD stack. What changes one goes through `pulumi up`.",
    epilog='Start with:  make up   ·   eval "$(bin/gad env dev)"   ·   gad status',
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a bug keeps its plain traceback
    rich_markup_mode="rich",
)
app.add_typer(setup.commands)
app.add_typer(stack.commands)
app.add_typer(release.commands)
app.add_typer(verify.commands)
app.add_typer(drift.commands)
app.add_typer(status.commands)
app.add_typer(data.commands)
app.add_typer(bench.commands)
app.add_typer(probe.commands)
app.add_typer(judges.commands)
app.add_typer(images.commands, name="images")
app.add_typer(host.commands, name="host")
app.add_typer(lab.commands, name="lab")
app.add_typer(data.users_commands, name="users")
app.add_typer(data.db_commands, name="db")
app.add_typer(audit.commands, name="audit")
app.add_typer(settings.secrets_commands, name="secrets")
app.add_typer(settings.settings_commands, name="settings")


def _show_version(wanted: bool) -> None:
    if wanted:
        import tomllib

        from infra.cli.checkout import ROOT

        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        typer.echo(f"gad {project['version']}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of `gad` itself."""


def main(args: list[str] | None = None) -> int:
    """Run one command line and return its exit code. Expected failures become two lines, bugs escape."""
    try:
        code = app(args=args, prog_name="gad", standalone_mode=False)
    except GadError as error:
        print_error(error)
        return int(error.exit_code)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        print_error(usage_error(error.format_message(), context.command_path if context else "gad"))
        return int(Exit.USAGE)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("interrupted", err=True)
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        # `gad … | head` is no failure; stdout must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)
    return code if isinstance(code, int) else int(Exit.OK)
