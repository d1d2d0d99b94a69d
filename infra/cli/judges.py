"""`gad judges`: what other people's programs say of a server and a stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.checkout import ROOT, complete_stack, known_stack
from infra.cli.output import AsJson, print_json
from infra.errors import Exit

commands = typer.Typer()


def _named(value: str | None) -> str | None:
    return value and known_stack(value)


def _folder(help_text: str, name: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        name, metavar="PATH", help=help_text, exists=True, file_okay=False, resolve_path=True
    )
    return option


@commands.command()
def judges(
    stack: Annotated[
        str | None,
        typer.Argument(
            metavar="[STACK]",
            help="A running stack; without it a lab and a stack of its own are made and removed.",
            autocompletion=complete_stack,
            callback=_named,
        ),
    ] = None,
    *,
    only: Annotated[str, typer.Option(help="Judges to ask, with commas between.", metavar="NAMES")] = "",
    allow_missing: Annotated[
        list[str] | None,
        typer.Option("--allow-missing", metavar="NAME", help="A judge that need not run; may be repeated."),
    ] = None,
    docker_bench: Annotated[
        Path | None, _folder("A checkout of docker-bench-security.", "--docker-bench")
    ] = None,
    debian_cis: Annotated[Path | None, _folder("A checkout of ovh/debian-cis.", "--debian-cis")] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the table into the runbook.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask programs of others what they think of server, proxy and images; config/judges.yaml compares.

    Lynis, ssh-audit, sslyze, testssl, HTTP Observatory, hadolint, checkov; two more where a folder is given.

    Exit code 0 only if each was heard and is content, else 1. A judge that cannot run is never content.

    Example:  gad judges --only lynis,ssh-audit
    """
    from infra.operate.judges import hearing, table
    from infra.operate.judges.verdict import is_green
    from infra.toolchain.progress import Reporter

    folders = {"docker-bench": docker_bench, "debian-cis": debian_cis}
    asked = hearing.Asked(
        stack,
        tuple(filter(None, (name.strip() for name in only.split(",")))),
        {name: folder for name, folder in folders.items() if folder is not None},
    )
    verdicts = hearing.hear(ROOT, asked, Reporter())
    green = is_green(verdicts, frozenset(allow_missing or ()))
    if as_json:
        print_json({"ok": green, "judges": [each.row for each in verdicts]})
    else:
        from rich.console import Console

        Console(highlight=False, soft_wrap=True).print(table.render(verdicts))
    if write:
        table.write(ROOT, verdicts)
    if not green:
        raise typer.Exit(Exit.FAILED)
