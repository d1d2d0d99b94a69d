"""Strong secrets for a stack file, and the passphrase that closes them."""

from __future__ import annotations

import os
import secrets as random
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from infra.errors import Exit, GadError
from infra.operate import stack_file
from infra.operate.locks import release_dead
from infra.operate.pulumi import Pulumi
from infra.settings import Secrets, is_placeholder
from infra.tls_pair import TlsPair, flaw_of, make_pair
from infra.toolchain.environment import PASSPHRASE_FILE, environment

SERVERS = ("postgres", "redis")  # those that may speak TLS
BYTES = 32  # 256 bits; 43 characters of the URL-safe alphabet


def init(pulumi: Pulumi) -> tuple[str, ...]:
    """Create every secret the stack file lacks; return the names of those made.

    What is there stays, except for a TLS pair that its server cannot use or not for long any more. The
    passphrase file is made with mode 0600 if there is none. Raises GadError if the stack file holds a
    value in clear.
    """
    source = stack_file.path_of(pulumi.root, pulumi.stack).name
    values = stack_file.read(pulumi.root, pulumi.stack)
    present = values.get("secrets") or {}
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
    missing = [
        name for name, field in Secrets.model_fields.items() if field.is_required() and name not in present
    ]
    made = {name: _strong() for name in missing}
    now = datetime.now(UTC)
    for server in SERVERS:
        if asks_tls(values, server) and not is_usable(_pair(pulumi, present, server), server, at=now):
            pair = make_pair(server, at=now)
            made |= dict(zip(_pair_names(server), (pair.key, pair.certificate), strict=True))
    for name, value in made.items():
        # By standard input: arguments are in process lists.
        pulumi.read("config", "set", "--secret", "--path", f"secrets.{name}", stdin=value)
    return tuple(made)


def asks_tls(values: Mapping[str, object], server: str) -> bool:
    """Whether a stack file, as it stands, wants this server (one of SERVERS) encrypted."""
    section = values.get(server)
    return isinstance(section, dict) and section.get("tls") in (True, "true")


def is_usable(pair: TlsPair | None, server: str, *, at: datetime) -> bool:
    """Whether this server can use the pair, at `at` (UTC) and for a while."""
    return pair is not None and flaw_of(pair, name=server, at=at) is None


def _pair_names(server: str) -> tuple[str, str]:
    return f"{server}_tls_key", f"{server}_tls_certificate"


def _pair(pulumi: Pulumi, present: Mapping[str, object], server: str) -> TlsPair | None:
    names = _pair_names(server)
    if not present.keys() >= set(names):
        return None
    shown = pulumi.config().get("secrets")
    key, certificate = (shown[name] for name in names) if isinstance(shown, dict) else ("", "")
    return TlsPair(str(key), str(certificate))


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
