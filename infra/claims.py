"""Which ports, networks and names a stack of this checkout may use on this machine.

Two checkouts, or two stacks, on one machine must not clash. The first `dev` stack gets the
documented ports; each further one claims the next block, recorded in one file of the user's
state folder, which every checkout reads under a lock.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import GadError

FIRST_HTTPS_PORT = 8443
FIRST_HTTP_PORT = 8080
PORT_STEP = 10
SUBNETS = IPv4Network("10.77.0.0/16")
BLOCK_PREFIX = 22  # four /24 networks a stack: edge, data, egress, one spare
OTHERS_FROM = 10  # only `dev` uses the blocks below, so that its documented ports stay free for it
BLOCKS = 36  # 8080 + 10 * 36 is the last block of HTTP ports that stays below 8443


class Claim(BaseModel):
    """One stack of one checkout, and the block of names, ports and networks it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int = Field(ge=0, lt=BLOCKS)
    stack: str
    checkout: str
    prefix: str

    @property
    def https_port(self) -> int:
        """Port of HTTPS on loopback."""
        return FIRST_HTTPS_PORT + PORT_STEP * self.index

    @property
    def http_port(self) -> int:
        """Port of HTTP (which only redirects) on loopback."""
        return FIRST_HTTP_PORT + PORT_STEP * self.index

    @property
    def subnet(self) -> IPv4Network:
        """The /22 whose /24s become the stack's networks."""
        return list(SUBNETS.subnets(new_prefix=BLOCK_PREFIX))[self.index]


class Claims(BaseModel):
    """All claims on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claims: tuple[Claim, ...] = ()


def find(claims: Claims, *, stack: str, checkout: str) -> Claim | None:
    """The claim this checkout already has for `stack`."""
    return next((c for c in claims.claims if c.stack == stack and c.checkout == checkout), None)


def choose(claims: Claims, *, stack: str, checkout: str, occupied: frozenset[int] = frozenset()) -> Claim:
    """The lowest free block for a new claim; raises GadError when all are held."""
    held = {claim.index for claim in claims.claims} | occupied
    first = _first_block(stack)
    index = next((i for i in range(first, BLOCKS) if i not in held), None)
    if index is None:
        raise GadError(
            f"no free block of ports for stack {stack}: {BLOCKS} stacks are claimed on this machine",
            remedy=f"free one with `gad clean`, or remove stale entries from {claims_file()}",
        )
    taken = {claim.prefix for claim in claims.claims}
    plain = f"gad-{stack}"
    candidates = itertools.chain([plain], (f"{plain}-{number}" for number in itertools.count(2)))
    prefix = next(name for name in candidates if name not in taken)
    return Claim(index=index, stack=stack, checkout=checkout, prefix=prefix)


def claims_file() -> Path:
    """The machine's claims, in the user's state folder (XDG_STATE_HOME)."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "grupo-gad" / "claims.json"


def claim(stack: str, checkout: Path) -> Claim:
    """The block of this stack, claimed now if it has none. Writes the claims file at most once.

    Claims of checkouts that no longer exist are dropped first. A block whose ports something else
    listens on is passed over, but only when claiming: a running stack keeps its own ports.
    """
    with _locked(claims_file()) as path:
        known = _read(path)
        found = find(known, stack=stack, checkout=str(checkout))
        if found is not None:
            return found
        kept = Claims(claims=tuple(c for c in known.claims if Path(c.checkout).is_dir()))
        chosen = choose(kept, stack=stack, checkout=str(checkout), occupied=_occupied(stack, kept))
        _write(path, Claims(claims=(*kept.claims, chosen)))
        return chosen


def release(stack: str, checkout: Path) -> None:
    """Give the block of this stack back; nothing happens if it has none."""
    with _locked(claims_file()) as path:
        known = _read(path)
        rest = tuple(c for c in known.claims if not (c.stack == stack and c.checkout == str(checkout)))
        if len(rest) != len(known.claims):
            _write(path, Claims(claims=rest))


def _first_block(stack: str) -> int:
    return 0 if stack == "dev" else OTHERS_FROM


def _occupied(stack: str, claims: Claims) -> frozenset[int]:
    held = {c.index for c in claims.claims}
    first = _first_block(stack)
    busy: set[int] = set()
    for index in range(first, BLOCKS):
        if index in held:
            continue
        block = Claim(index=index, stack=stack, checkout="", prefix="")
        if _listening(block.https_port) or _listening(block.http_port):
            busy.add(index)
        else:
            break
    return frozenset(busy)


def _listening(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@contextmanager
def _locked(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the file, which is replaced: a lock on the old one would exclude nobody.
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def _read(path: Path) -> Claims:
    content = path.read_bytes() if path.exists() else b""
    try:
        return Claims.model_validate_json(content) if content.strip() else Claims()
    except ValidationError as error:
        raise GadError(
            f"{path} is not readable as claims: {error.errors()[0]['msg']}",
            remedy="correct or delete it; running stacks are found again by their labels",
        ) from error


def _write(path: Path, claims: Claims) -> None:
    staged = path.with_suffix(".new")
    with staged.open("w", encoding="utf-8") as file:
        file.write(json.dumps(claims.model_dump(mode="json"), indent=2, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
