"""How `gad` speaks: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import typer

from infra.errors import Exit, GadError

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]


def print_error(error: GadError) -> None:
    """Two lines, the form of every expected failure; colour only on a terminal."""
    colour = sys.stderr.isatty()
    typer.echo(f"{typer.style('error:', fg='red', bold=True) if colour else 'error:'} {error.fact}", err=True)
    typer.echo(f"{typer.style('remedy:', bold=True) if colour else 'remedy:'} {error.remedy}", err=True)


def usage_error(message: str, command: str) -> GadError:
    """What typer found wrong with the arguments, in our form."""
    fact = message.rstrip(".").replace("\n", " ")
    return GadError(fact[:1].lower() + fact[1:], remedy=f"{command} --help", exit_code=Exit.USAGE)


def print_json(value: Mapping[str, object] | Sequence[object]) -> None:
    """One document on stdout; the field names are a contract with scripts."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_row(cells: Iterable[str], widths: Sequence[int]) -> None:
    """A line of a list that grows while work goes on, so a table cannot be laid out at the end."""
    padded = [cell.ljust(width) for cell, width in zip(cells, [*widths, 0], strict=True)]
    typer.echo("  ".join(padded).rstrip())
