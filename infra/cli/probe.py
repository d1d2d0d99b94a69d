"""`gad probe`: whether people notice what is done to a stack."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from infra.cli.checkout import ROOT, Stack
from infra.cli.output import AsJson, print_json
from infra.errors import Exit

POLL_S = 0.25  # how often the line on the screen is made anew

commands = typer.Typer()


@commands.command()
def probe(
    stack: Stack = "dev",
    seconds: Annotated[float, typer.Option(min=1, help="How long it sends.")] = 30,
    per_second: Annotated[float, typer.Option(min=1, max=1000, help="Requests a second.")] = 100,
    clients: Annotated[int, typer.Option(min=1, max=1000, help="WebSocket clients.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Send what people send to a running stack, and tell each request that failed, with when and why.

    Reads, writes, slow and large bodies, new connections, sockets; its tasks are counted and removed. Run it
    while something is done to the stack. Ctrl-C ends it early. Exit code 1 if anything failed, was lost or
    came twice. Not for production, nor for a stack on a server.

    Example:  gad probe dev --seconds 60 --per-second 50
    """
    import time

    from rich.console import Console

    from infra.operate import probe_table
    from infra.operate.probe import probing

    console = Console(stderr=True)
    with probing(ROOT, stack, per_second=per_second, clients=clients) as prober:
        until = time.monotonic() + seconds
        with suppress(KeyboardInterrupt), console.status("") as status:
            while (rest := until - time.monotonic()) > 0:
                status.update(f"{rest:.0f} s  {probe_table.line(prober.progress)}")
                time.sleep(min(POLL_S, rest))
        console.print("waiting for the last answers, then counting and removing its tasks", highlight=False)
    report = prober.report
    if as_json:
        print_json({"ok": report.is_clean, **report.model_dump(mode="json")})
    else:
        Console(highlight=False).print(probe_table.render(report))
        typer.echo(probe_table.verdict(report))
    if not report.is_clean:
        raise typer.Exit(int(Exit.FAILED))
