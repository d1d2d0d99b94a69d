"""Operations on files whose content is not ours: mode, owner, setuid, absence."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping, Sequence

from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host


class States(FactBase[Mapping[str, str]]):
    """Path → mode and owner, such as `640 root:shadow`, of those that are there."""

    def command(self, paths: Sequence[str]) -> str:
        """A line of `stat` for each."""
        return f"stat -c '%n %a %U:%G' {' '.join(map(shlex.quote, paths))} 2>/dev/null || true"

    @staticmethod
    def default() -> Mapping[str, str]:
        """None is there."""
        return {}

    def process(self, output: list[str]) -> Mapping[str, str]:
        """Read what the command printed."""
        return dict(line.split(" ", 1) for line in output)


class Overrides(FactBase[frozenset[str]]):
    """Paths whose mode dpkg takes from its administrator."""

    def command(self) -> str:
        """`user group mode path` for each."""
        return "dpkg-statoverride --list || true"

    @staticmethod
    def default() -> frozenset[str]:
        """None."""
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        """Read what the command printed."""
        return frozenset(line.split(" ", 3)[3] for line in output)


class Found(FactBase[tuple[str, ...]]):
    """Files of some names in `/`, in a folder below it, or in a home."""

    def command(self, names: Sequence[str]) -> str:
        """The paths; depth as linux-baseline looks, which is a home below /home."""
        tests = " -o ".join(f"-iname {shlex.quote(name)}" for name in names)
        skip = r"\( -path /proc -o -path /sys -o -path /dev -o -path /run \) -prune"
        return f"find / -maxdepth 3 {skip} -o \\( {tests} \\) -print 2>/dev/null || true"

    @staticmethod
    def default() -> tuple[str, ...]:
        """None."""
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        """Read what the command printed."""
        return tuple(sorted(output))


@operation()
def keep(wanted: Mapping[str, str]) -> Generator[StringCommand, None, None]:
    """Mode and owner of files that are there; others may come later."""
    states = host.get_fact(States, paths=sorted(wanted))
    for path, state in wanted.items():
        if path in states and states[path] != state:
            mode, owner = state.split()
            # The owner first: chown takes setuid away, and never the other way round.
            yield StringCommand(f"chown {owner} {shlex.quote(path)} && chmod {mode} {shlex.quote(path)}")


@operation()
def without_setuid(paths: Sequence[str]) -> Generator[StringCommand, None, None]:
    """Programs that run as whoever starts them, now and after their package was installed anew."""
    overridden = host.get_fact(Overrides)
    states = host.get_fact(States, paths=sorted(paths))
    for path in paths:
        if path not in overridden:
            yield StringCommand(f"dpkg-statoverride --force-all --add root root 0755 {shlex.quote(path)}")
        if states.get(path, "755 root:root") != "755 root:root":
            yield StringCommand(f"chown root:root {shlex.quote(path)} && chmod 0755 {shlex.quote(path)}")


@operation()
def without(names: Sequence[str], paths: Sequence[str]) -> Generator[StringCommand, None, None]:
    """Files that let somebody in by trusting a machine, or hold a password in clear."""
    found = host.get_fact(States, paths=paths)
    there = [*host.get_fact(Found, names=names), *sorted(found)]
    if there:
        yield StringCommand(f"rm -f -- {' '.join(map(shlex.quote, there))}")
