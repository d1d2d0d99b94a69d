"""Strong secrets for a stack file, and the passphrase that closes them."""

from __future__ import annotations

import os
import secrets as random
from pathlib import Path

from infra.errors import Exit, GadError
from infra.operate import stack_file
from infra.operate.locks import release_dead
from infra.operate.pulumi import Pulumi
from infra.settings import Secrets, is_placeholder
from infra.toolchain.environment import PASSPHRASE_FILE, environment

BYTES = 32  # 256 bits; 43 characters of the URL-safe alphabet


def init(pulumi: Pulumi) -> tuple[str, ...]:
    """Create every secret the stack file lacks; return the names of those made.

    What is there stays. The passphrase file is made with mode 0600 if there is none. Raises GadError
    if the stack file holds a value in clear.
    """
    source = stack_file.path_of(pulumi.root, pulumi.stack).name
    present = stack_file.read(pulumi.root, pulumi.stack).get("secrets") or {}
    if not isinstance(present, dict):
        raise GadError(
            f"secrets is no mapping ({source})", remedy="remove it and run this again", exit_code=Exit.USAGE
        )
    for name, value in present.items():
        if not (isinstance(value, dict) and set(value) == {"secure"}):
            raise GadError(
                f"secrets.{name} stands in clear ({source})",
                remedy="remove that line, run this again, and change the value wherever it was used",
                exit_code=Exit.REFUSED,
            )
    _ensure_passphrase(pulumi)
    release_dead(pulumi.root / ".gad" / "state", pulumi.stack)
    pulumi.ensure()
    missing = tuple(name for name in Secrets.model_fields if name not in present)
    for name in missing:
        # By standard input: arguments are in process lists.
        pulumi.read("config", "set", "--secret", "--path", f"secrets.{name}", stdin=_strong())
    return missing


def _strong() -> str:
    """URL-safe text of 256 bits that no check for placeholders can trip over."""
    while True:
        value = random.token_urlsafe(BYTES)
        if value[0].isalnum() and not is_placeholder(value):
            return value


def _ensure_passphrase(pulumi: Pulumi) -> None:
    # Absent where the caller's own variables open the stack's secrets.
    chosen = environment(pulumi.root, pulumi.stack).get(PASSPHRASE_FILE)
    if chosen is not None and not Path(chosen).exists():
        _write_private(Path(chosen), random.token_urlsafe(BYTES))


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
