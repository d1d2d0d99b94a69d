"""Operations on the accounts that are there, whichever they are."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import dataclass

from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host

from infra.host.plan import CLOSED_SHELLS
from infra.host.proven import HoldsFact

FIRST_PERSON = 1000  # UID_MIN of Debian


@dataclass(frozen=True)
class Account:
    """An account; `password` is the first character of its field in /etc/shadow."""

    name: str
    uid: int
    gid: int
    shell: str
    password: str

    @property
    def is_locked(self) -> bool:
        """Whether no password opens it."""
        return self.password in ("!", "*")


class Accounts(FactBase[tuple[Account, ...]]):
    """All accounts of the machine's own files. No hash leaves the server."""

    def command(self) -> str:
        """Name, uid, gid, shell, first character of the password."""
        return (
            "awk -F: -v OFS=: 'NR==FNR {p[$1]=substr($2,1,1); next} {print $1,$3,$4,$7,p[$1]}' "
            "/etc/shadow /etc/passwd"
        )

    @staticmethod
    def default() -> tuple[Account, ...]:
        """Of a server that did not answer."""
        return ()

    def process(self, output: list[str]) -> tuple[Account, ...]:
        """Read what the command printed."""
        rows = (line.split(":") for line in output)
        return tuple(Account(n, int(u), int(g), s, p) for n, u, g, s, p in rows)


def system_accounts() -> list[Account]:
    """Those of daemons: below the first person, without root."""
    return [each for each in host.get_fact(Accounts) if 0 < each.uid < FIRST_PERSON]


@operation()
def close_system_accounts(shell: str) -> Generator[StringCommand, None, None]:
    """No shell and no password for the accounts of daemons."""
    for each in system_accounts():
        if each.shell not in CLOSED_SHELLS:
            yield StringCommand(f"usermod --shell {shlex.quote(shell)} {shlex.quote(each.name)}")
        if not each.is_locked:
            yield StringCommand(f"usermod --lock {shlex.quote(each.name)}")


@operation()
def lock(account: str) -> Generator[StringCommand, None, None]:
    """No password opens the account; its keys and sudo do as before."""
    if any(each.name == account and not each.is_locked for each in host.get_fact(Accounts)):
        yield StringCommand(f"usermod --lock {shlex.quote(account)}")


@operation()
def hide_hashes() -> Generator[StringCommand, None, None]:
    """Hashes of passwords stand in /etc/shadow, never in /etc/passwd, which all may read."""
    seen = "cat /etc/passwd /etc/passwd- 2>/dev/null | cut -d: -f2 | grep -qvx '[x*]'"
    if host.get_fact(HoldsFact, condition=seen):
        # Its copy of before, which all may read as well, would still hold them.
        yield StringCommand("pwconv && cp -p /etc/passwd /etc/passwd-")


@operation()
def refuse_shared_ids() -> Generator[StringCommand, None, None]:
    """Two accounts with one uid are one account with two names: which is right is for a person to say."""
    uids = [each.uid for each in host.get_fact(Accounts)]
    twice = sorted(each.name for each in host.get_fact(Accounts) if uids.count(each.uid) > 1)
    if twice:
        yield StringCommand(f"echo {shlex.quote('one uid for ' + ', '.join(twice))} >&2; exit 1")
