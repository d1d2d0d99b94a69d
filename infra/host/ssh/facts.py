"""What a server's OpenSSH can do and has."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pyinfra.api.facts import FactBase


class Algorithms(FactBase[Mapping[str, frozenset[str]]]):
    """The algorithms this OpenSSH knows: by the name of the list, as `ssh -Q` calls it."""

    def command(self) -> str:
        """One line for each algorithm, the list's name before it."""
        return 'for list in cipher kex key-sig mac; do ssh -Q $list | sed "s/^/$list /"; done'

    def process(self, output: list[str]) -> Mapping[str, frozenset[str]]:
        """Read what the command printed."""
        pairs = [line.split() for line in output]
        return {name: frozenset(word for first, word in pairs if first == name) for name, _ in pairs}


class KeyBits(FactBase[int]):
    """The size of a host key in bits; 0 if there is none."""

    def command(self, path: str) -> str:
        """`4096 SHA256:… (RSA)`, or nothing."""
        return f"if [ -f {shlex.quote(path)} ]; then ssh-keygen -lf {shlex.quote(path)}; fi"

    @staticmethod
    def default() -> int:
        """Of a key that is not there."""
        return 0

    def process(self, output: list[str]) -> int:
        """Read what the command printed."""
        return int(output[0].split()[0])


class ShortModuli(FactBase[int]):
    """How many groups of /etc/ssh/moduli are shorter than `bits`; -1 if there is no such file.

    Without the file sshd uses one group of its own, and that is long enough.
    """

    def command(self, bits: int) -> str:
        """A number."""
        count = f"awk '!/^#/ && $5 < {bits} {{n++}} END {{print n+0}}' /etc/ssh/moduli"
        return f"if [ -f /etc/ssh/moduli ]; then {count}; fi"

    @staticmethod
    def default() -> int:
        """Of a file that is not there."""
        return -1

    def process(self, output: list[str]) -> int:
        """Read what the command printed."""
        return int(output[0])
