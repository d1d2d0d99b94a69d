"""Room on the server's disks, asked for before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api.exceptions import DeployError
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host

# Measured: a first run takes 580 MiB of a bare Debian 13, archives and index included. Chosen: twice that. A
# later run only writes some files.
FIRST_MIB, LATER_MIB = 1200, 100
WRITTEN = ("/", "/etc", "/usr", "/var", "/var/cache/apt", "/var/lib/dpkg")
ENGINE = "/usr/sbin/dockerd"  # the largest of all packages; where it is, the most is


class Free(FactBase[tuple[bool, Mapping[str, int]]]):
    """Whether the engine is there, and where each file system is mounted → MiB free on it."""

    def command(self) -> str:
        """`yes` or `no`, then lines of `df`."""
        there = f"if [ -e {ENGINE} ]; then echo yes; else echo no; fi"
        return f"{there}; df -Pm {' '.join(WRITTEN)} | awk 'NR > 1 {{print $6, $4}}'"

    def process(self, output: list[str]) -> tuple[bool, Mapping[str, int]]:
        """Read what the command printed."""
        return output[0] == "yes", {path: int(mib) for path, mib in (line.split() for line in output[1:])}


def require_room(host: Host) -> None:
    """Raises DeployError that says how much there is and how much a run needs."""
    engine, free = host.get_fact(Free)
    if lack := lacking(free, LATER_MIB if engine else FIRST_MIB):
        raise DeployError(lack)


def lacking(free: Mapping[str, int], needed: int) -> str | None:
    """The file systems with too little room, in one sentence; None if there is enough. Pure."""
    short = [f"{path} has {mib} MiB free" for path, mib in sorted(free.items()) if mib < needed]
    return f"{', '.join(short)}, this run needs {needed} MiB" if short else None
