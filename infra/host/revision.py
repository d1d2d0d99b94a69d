"""A name for all that decides what a deploy does: its code, the controls, and what one server is told."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from infra.host.controls import FILE


def revision(root: Path, told: str) -> str:
    """Changes with any file of the deploy, with the controls, and with `told`, what a stack file asks.

    The same on every machine: no path of this one and no time is in it.
    """
    found = sha256(told.encode())
    for path in (root / FILE, *sorted((root / "infra" / "host").rglob("*.py"))):
        found.update(f"\0{path.relative_to(root)}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
