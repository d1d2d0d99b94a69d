"""What the running kernel has, can set and is open to."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pyinfra.api.facts import FactBase

CPU = "/sys/devices/system/cpu/vulnerabilities"


class Differing(FactBase[Mapping[str, str]]):
    """Parameters with another value than wanted: key → running value.

    Only those that can be set here: a kernel may lack one, and a container has most of them read-only.
    """

    def command(self, wanted: Mapping[str, str]) -> str:
        """One line for each that differs: the key, then its value with single spaces."""
        return differing(wanted)

    @staticmethod
    def default() -> Mapping[str, str]:
        """All as wanted."""
        return {}

    def process(self, output: list[str]) -> Mapping[str, str]:
        """Read what the command printed."""
        pairs = (line.partition(" ") for line in output)
        return {key: value for key, _, value in pairs}


def differing(wanted: Mapping[str, str]) -> str:
    """A shell script that prints each settable parameter that differs, with the value it has. Pure."""
    look = (
        'look() { path=/proc/sys/$(echo "$1" | tr . /); if [ -w "$path" ]; then '
        'now=$(tr -s "\\t " " " <"$path"); [ "$now" = "$2" ] || echo "$1 $now"; fi; }'
    )
    return "; ".join([look, *(f"look {key} {shlex.quote(value)}" for key, value in wanted.items())])


class CpuFlaws(FactBase[frozenset[str]]):
    """Flaws of the processor that nothing mitigates, by the kernel's names; `nx`: it executes data."""

    def command(self) -> str:
        """Names of files that say so; a kernel without the folder knows of none."""
        # Processors other than x86 have no such flag, because all of them can.
        nx = "if grep -q '^flags' /proc/cpuinfo && ! grep -qw nx /proc/cpuinfo; then echo nx; fi"
        return f"grep -il vulnerable {CPU}/* 2>/dev/null | sed 's,.*/,,'; {nx}"

    @staticmethod
    def default() -> frozenset[str]:
        """None."""
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        """Read what the command printed."""
        return frozenset(output)
