"""Accounts that a person at the server may make: the first administrator."""

from __future__ import annotations

import os
import secrets as random
import shlex
import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from infra.errors import GadError
from infra.operate.live_slot import serving
from infra.operate.outputs import StackOutputs
from infra.operate.server import line_to


class Account(BaseModel):
    """E-mail and password of the demo's administrator, kept in a file that only its owner reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: str
    password: str


def create_admin(outputs: StackOutputs, *, email: str, first_name: str, last_name: str, password: str) -> str:
    """Make an administrator in the live slot; the password goes in by standard input.

    Returns what the application said. Raises GadError with its own words.
    """
    container = serving(outputs)
    names = ["--email", email, "--first-name", first_name, "--last-name", last_name]
    command = ["docker", "exec", "-i", container, "python", "-m", "app.admin", "create", *names]
    if outputs.server is not None:
        command = line_to(outputs.server).running(shlex.join(command))
    done = subprocess.run(command, input=f"{password}\n", text=True, capture_output=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        remedy = next((line for line in lines if line.startswith("remedy: ")), "look at `gad status`")
        raise GadError(lines[0].removeprefix("error: "), remedy=remedy.removeprefix("remedy: "))
    return done.stdout.strip()


def demo_admin(root: Path, outputs: StackOutputs) -> Account:
    """The demo's administrator of this checkout, made at the first call. Raises GadError."""
    path = root / ".gad" / outputs.stack / "demo-admin.json"
    if path.exists():
        account = Account.model_validate_json(path.read_text(encoding="utf-8"))
    else:
        account = Account(email=f"demo-{random.token_hex(4)}@gad.example", password=random.token_urlsafe(24))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(account.model_dump_json() + "\n")
    # Again each time: it changes nothing if the account exists, and the data may have been removed.
    create_admin(
        outputs, email=account.email, first_name="Demo", last_name="Distrito", password=account.password
    )
    return account
