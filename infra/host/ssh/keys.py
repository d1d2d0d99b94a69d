"""Operations on what sshd_config only names: host keys and the groups of a key exchange."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from infra.host.ssh.facts import KeyBits, ShortModuli

MODULI = "/etc/ssh/moduli"


@operation()
def host_key(path: str, *, kind: str, bits: int) -> Generator[StringCommand, None, None]:
    """A host key of at least `bits`; one that is long enough stays, because others have pinned it."""
    if host.get_fact(KeyBits, path=path) >= bits:
        return
    new = f"{path}.new"
    yield StringCommand(f"rm -f {shlex.quote(new)} {shlex.quote(new)}.pub")
    yield StringCommand(f"ssh-keygen -q -N '' -C '' -t {kind} -b {bits} -f {shlex.quote(new)}")
    # The private key last: a key that sshd reads always has its public half beside it.
    yield StringCommand(f"mv -f {shlex.quote(new)}.pub {shlex.quote(path)}.pub")
    yield StringCommand(f"mv -f {shlex.quote(new)} {shlex.quote(path)}")


@operation()
def moduli(bits: int) -> Generator[StringCommand, None, None]:
    """Only groups of at least `bits` in /etc/ssh/moduli; never an empty file, with which sshd falls back."""
    if host.get_fact(ShortModuli, bits=bits) <= 0:
        return
    new = f"{MODULI}.new"
    yield StringCommand(f"awk '/^#/ || $5 >= {bits}' {MODULI} >{new} && grep -qv '^#' {new}")
    yield StringCommand(f"chmod 644 {new} && mv -f {new} {MODULI}")
