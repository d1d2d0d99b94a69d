"""`gad demo`, `gad users` and `gad db`: people, data and schema of a running stack."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_json
from infra.errors import Exit, GadError

if TYPE_CHECKING:
    from infra.operate.outputs import StackOutputs
    from infra.operate.schema import Command

commands = typer.Typer()
users_commands = typer.Typer(help="Accounts of a running stack.", no_args_is_help=True)
db_commands = typer.Typer(help="The database schema of a running stack.", no_args_is_help=True)


def _outputs(stack: str) -> StackOutputs:
    from infra.operate.outputs import read_outputs
    from infra.operate.pulumi import Pulumi

    return read_outputs(stack, Pulumi(ROOT, stack).deployment().outputs)


@commands.command()
def demo(
    stack: Stack = "dev",
    count: Annotated[int, typer.Option(min=1, max=200_000, help="How many officers.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Another seed is another district.")] = 1830,
    as_json: AsJson = False,
) -> None:
    """Load a district at work through the HTTP API: officers with positions, tasks, emergencies.

    May be interrupted and run again: what exists is left alone. Not for production.

    Example:  gad demo dev --count 10000
    """
    from infra.operate.certificate import authority_file
    from infra.operate.demo import load
    from infra.operate.demo_work import accounts_in
    from infra.operate.users import demo_admin

    outputs = _outputs(stack)
    if outputs.environment == "production":
        raise GadError(
            f"stack {stack} is production; demo data does not belong there",
            remedy="load it into dev or staging",
            exit_code=Exit.REFUSED,
        )
    account = demo_admin(ROOT, outputs)
    authority = authority_file(ROOT, stack) if outputs.tls == "internal" else None
    accounts = accounts_in(ROOT / ".gad" / stack / "demo-people.json")
    summary = load(
        outputs.url,
        authority,
        email=account.email,
        password=lambda: account.password,
        count=count,
        seed=seed,
        accounts=accounts,
    )
    if as_json:
        counts = {"created": summary.created, "present": summary.present, **asdict(summary.work)}
        print_json({**counts, "seconds": round(summary.seconds, 1)})
        return
    typer.echo(
        f"{summary.created} officers created, {summary.present} were there already "
        f"({summary.seconds:.0f} s, {summary.per_second:.0f}/s)"
    )
    typer.echo(f"{summary.work.tasks} tasks and {summary.work.emergencies} emergencies created")
    typer.echo(f"sign in as {account.email}; the password is in .gad/{stack}/demo-admin.json")
    typer.echo(f"as a supervisor or an officer: .gad/{stack}/demo-people.json")


@users_commands.command("create-admin")
def create_admin(
    email: Annotated[str, typer.Option(help="Their e-mail, with which they sign in.")],
    first_name: Annotated[str, typer.Option(help="First name.")],
    last_name: Annotated[str, typer.Option(help="Last name.")],
    stack: Stack = "dev",
) -> None:
    """Create an administrator. The password is asked, or read from standard input; never an argument.

    Example:  gad users create-admin dev --email ana@gad.example --first-name Ana --last-name Paz
    """
    from infra.operate.users import create_admin as operate

    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    typer.echo(
        operate(_outputs(stack), email=email, first_name=first_name, last_name=last_name, password=password)
    )


@db_commands.command("current")
def current(stack: Stack = "dev") -> None:
    """Print which revision the schema is at, and which one the declared image wants.

    Example:  gad db current dev
    """
    _schema(stack, "current")


@db_commands.command("upgrade")
def upgrade(stack: Stack = "dev") -> None:
    """Bring the schema to the declared image's revision. `gad up` does it itself, before any slot changes.

    Needed by hand only after a step that found a lock held: it is never undone, and may be repeated.

    Example:  gad db upgrade dev
    """
    _schema(stack, "upgrade")


@db_commands.command("check")
def check(stack: Stack = "dev") -> None:
    """Compare the schema with the declared image's models, table by table. Exit code 3 if they differ.

    Example:  gad db check dev
    """
    _schema(stack, "check")


@db_commands.command("lint")
def lint(
    stack: Stack = "dev",
    file: Annotated[
        Path | None, typer.Option(help="Read this file of SQL, and no stack; - is standard input.")
    ] = None,
    contract: Annotated[
        bool, typer.Option("--contract", help="Approve what steps that raise min_ordinal take away.")
    ] = False,
    approve: Annotated[
        str | None, typer.Option(metavar="REVISION", help="The same for this one step, and no other.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read the steps that the declared image would run on a stack's schema, before any of them runs.

    squawk and the rules of releases: nothing that the release before needs is taken away, and nobody waits
    for a lock. Each refusal names the statement and how to do it instead. Exit code 4 if there are any.

    Example:  gad db lint staging
    """
    from infra.operate.migration_lint import lint_file, lint_pending, refusal_error
    from infra.operate.preflight import load_settings
    from infra.operate.pulumi import Pulumi

    if file is not None:
        refused = lint_file(file, contract=contract, approved=approve)
    else:
        image = load_settings(Pulumi(ROOT, stack)).images["app"]
        refused = lint_pending(_outputs(stack), image, contract=contract, approved=approve)
    if as_json:
        print_json([asdict(each) for each in refused])
    else:
        for each in refused:
            typer.echo(f"{each.step or 'before any step'}, line {each.line}: {each.statement}")
            typer.echo(f"  {each.rule}: {each.why}\n  remedy: {each.recipe}")
        typer.echo(f"{len(refused) or 'no'} statement{'' if len(refused) == 1 else 's'} refused")
    if refused:
        raise refusal_error(refused)


def _schema(stack: str, command: Command) -> None:
    from infra.operate.schema import run

    said, code = run(_outputs(stack), command)
    typer.echo(said)
    if code:
        raise typer.Exit(code)
