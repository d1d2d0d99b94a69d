"""Debian packages: there, or gone. The index is fetched only when something must be installed."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence

from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host

# Seconds that apt waits for another process: the unattended upgrade of a server that has just started.
LOCK_S = 300
# A mirror that does not answer is given up within minutes, and not before it was asked again.
APT = (
    f"DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout={LOCK_S}"
    " -o Acquire::Retries=2 -o Acquire::http::Timeout=20"
)
# What an interrupted run left, of ours or of somebody else's: without it apt refuses all else.
REPAIR = (
    'if [ -n "$(dpkg --audit 2>/dev/null)" ] || [ -n "$(ls -A /var/lib/dpkg/updates)" ]; then '
    "DEBIAN_FRONTEND=noninteractive dpkg --configure --pending --force-confold; "
    f"{APT} --fix-broken install; fi"
)


class Installed(FactBase[frozenset[str]]):
    """Which of some packages are installed."""

    def command(self, packages: Sequence[str]) -> str:
        """`ii name`, `rc name` and so on; packages that dpkg never heard of are no failure."""
        names = " ".join(shlex.quote(each) for each in packages)
        return f"dpkg-query -W -f '${{db:Status-Abbrev}} ${{Package}}\\n' {names} 2>/dev/null || true"

    @staticmethod
    def default() -> frozenset[str]:
        """None of them."""
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        """Read what the command printed."""
        return frozenset(line.split()[1] for line in output if line.startswith("ii"))


@operation()
def present(packages: Sequence[str]) -> Generator[StringCommand, None, None]:
    """Install what is missing, without recommendations."""
    installed = host.get_fact(Installed, packages=packages)
    missing = [each for each in packages if each not in installed]
    if missing:
        names = " ".join(shlex.quote(each) for each in missing)
        yield StringCommand(REPAIR)
        yield StringCommand(f"{APT} update && {APT} install --no-install-recommends {names}")


@operation()
def absent(packages: Sequence[str]) -> Generator[StringCommand, None, None]:
    """Remove what is there, with its configuration."""
    installed = host.get_fact(Installed, packages=packages)
    there = [each for each in packages if each in installed]
    if there:
        yield StringCommand(REPAIR)
        yield StringCommand(f"{APT} purge {' '.join(shlex.quote(each) for each in there)}")
