"""`python -m app.audit verify [--anchor SEQ:HASH]`: whether the audit trail is as it was written.

It prints the head of the chain. Whoever keeps that line elsewhere and gives it back as the anchor later sees
even a trail whose end was cut off, or that was written anew as a whole.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from typing import Any

from app.audit.service import verify
from app.command import one_connection, run
from app.settings import Settings

DIFFERENT = 3  # exit code, as in every command of the project


def anchor(text: str) -> tuple[int, bytes]:
    """SEQ:HASH, as a head is printed. Raises ArgumentTypeError."""
    match = re.fullmatch(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", text)
    if match is None:
        raise argparse.ArgumentTypeError("write it as SEQ:HASH, as `verify` prints it")
    return int(match[1]), bytes.fromhex(match[2])


async def check(settings: Settings, noted: tuple[int, bytes] | None) -> dict[str, Any]:
    """The verdict. Raises Unavailable."""
    async with one_connection(settings, "gad-audit") as database:
        return await verify(database, anchor=noted)


def sentences(verdict: dict[str, Any]) -> list[str]:
    """The verdict in words, the most important last."""
    head, bad = verdict["head"], verdict["first_bad"]
    gone = verdict["without_payload"]
    lines = [f"head {head['seq']}:{head['hash']}"]
    if gone:
        lines.append(f"{gone} of them without payload: expired or erased")
    if bad is None:
        count = f"{verdict['checked']} events, {verdict['unsealed']} unsealed"
        lines.append(f"the audit trail is as it was written: {count}")
    else:
        row = "missing" if bad["uuid"] is None else f"event {bad['uuid']}"
        lines.append(f"the audit trail was altered at {bad['seq']}: {row} ({bad['wrong']})")
    return lines


def main(arguments: list[str]) -> int:
    """Exit code 0 as it was written, 1 the database is away, 2 usage or settings, 3 altered."""
    parser = argparse.ArgumentParser(prog="python -m app.audit", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    parser_verify = commands.add_parser("verify", help="follow the chain from its first event")
    parser_verify.add_argument(
        "--anchor", type=anchor, metavar="SEQ:HASH", help="a head printed before, which must still be there"
    )
    given = parser.parse_args(arguments)

    def work(settings: Settings) -> int:
        verdict = asyncio.run(check(settings, given.anchor))
        print("\n".join(sentences(verdict)))
        return 0 if verdict["ok"] else DIFFERENT

    return run(work)
