"""What a server says of itself: all questions of all topics, asked in one login that changes nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from testinfra.host import Host

from infra.host.controls import Values
from infra.host.plan import HostPlan

Command = Callable[[HostPlan], str]
BEGIN = "\x1e"  # before the name of a question; in no text that a server prints (ASCII: record separator)
LIMIT_S = 15  # of one question: a daemon that hangs costs its own answer and no other
SETTING = "export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; cd /"

COMMANDS: dict[str, Command] = {}


class UnreachableError(Exception):
    """A server that could not be asked; its text is what `ssh` or `sudo` said."""


def asks(name: str, command: str | Command) -> None:
    """Add a question: a shell command that only looks, as root. What it prints is all that is kept of it.

    A password's hash must not be printed: cut it there. Raises ValueError for a name that is taken.
    """
    if name in COMMANDS:
        raise ValueError(f"{name} is asked twice")
    COMMANDS[name] = command if callable(command) else lambda _: command


def script(plan: HostPlan) -> str:
    """All questions as one shell script; each fails and hangs by itself. Pure."""
    parts = [SETTING]
    for name, command in COMMANDS.items():
        inner = shlex.quote(command(plan))
        parts.append(f"printf '\\036%s\\n' {shlex.quote(name)}")
        parts.append(f"timeout {LIMIT_S} sh -c {inner} 2>/dev/null </dev/null")
    return "\n".join([*parts, "true"])


def answers(output: str) -> Mapping[str, str]:
    """What each question was answered. Pure."""
    found = {}
    for part in output.split(BEGIN)[1:]:
        name, _, text = part.partition("\n")
        found[name] = text
    return found


def ask(machine: Host, plan: HostPlan, *, as_root: bool) -> Facts:
    """Ask a server everything, in one command. Raises UnreachableError."""
    become = "sh -c" if as_root else "sudo -n sh -c"
    done = machine.run(f"{become} %s", script(plan))
    said = answers(done.stdout)
    if done.rc != 0 or list(said) != list(COMMANDS):
        reason = " ".join(done.stderr.split()) or f"{len(said)} of {len(COMMANDS)} questions were answered"
        raise UnreachableError(reason[-300:])
    return Facts(plan, said)


@dataclass(frozen=True)
class Facts:
    """The answers of one server, and its plan."""

    plan: HostPlan
    said: Mapping[str, str]

    @property
    def values(self) -> Values:
        """What the controls want on its operating system."""
        return self.plan.values

    def text(self, name: str) -> str:
        """The answer to a question; empty if the command is not there or says nothing."""
        return self.said[name].strip()

    def lines(self, name: str) -> list[str]:
        """The same by lines, without empty ones."""
        return [line for line in self.said[name].splitlines() if line.strip()]

    def pairs(self, name: str) -> dict[str, str]:
        """`key value`: the last one of a key holds."""
        return dict(_halves(self.lines(name)))

    def assigned(self, name: str) -> dict[str, str]:
        """`key = value`, comments and [sections] left out; a word alone is `true`. The last one holds."""
        found = {}
        for line in self.lines(name):
            if line.lstrip()[0] not in "#;[":
                key, sign, value = line.partition("=")
                found[key.strip().removeprefix("-")] = " ".join(value.split()) if sign else "true"
        return found

    def data(self, name: str) -> Any:
        """The answer as JSON; None if it is none."""
        try:
            return json.loads(self.said[name])
        except ValueError:
            return None

    @cached_property
    def in_container(self) -> bool:
        """Whether the kernel is another's, as in a lab."""
        return self.text("container") not in ("", "none")

    @cached_property
    def installed(self) -> frozenset[str]:
        """The packages that dpkg has installed."""
        return frozenset(line.split()[1] for line in self.lines("packages") if line.startswith("ii"))

    def missing(self, packages: tuple[str, ...]) -> list[str]:
        """Which of some packages are not installed."""
        return sorted(set(packages) - self.installed)

    def present(self, packages: tuple[str, ...]) -> list[str]:
        """Which of some packages are installed. Raises LookupError if dpkg names none at all."""
        if not self.installed:
            raise LookupError("dpkg names no package")
        return sorted(set(packages) & self.installed)

    @cached_property
    def _units(self) -> Mapping[str, Mapping[str, str]]:
        blocks = (block.splitlines() for block in self.said["units"].split("\n\n"))
        tables = [dict(line.split("=", 1) for line in block if "=" in line) for block in blocks]
        return {name: table for table in tables for name in table.get("Names", "").split()}

    def unit(self, name: str, fact: str) -> str:
        """A property of a systemd unit, such as UnitFileState; `not there` for one that systemd lacks."""
        state = self._units.get(name, {})
        return state.get(fact, "") if state.get("LoadState", "not-found") != "not-found" else "not there"

    def state(self, path: str) -> str:
        """Mode and owner of a file, such as `640 root:shadow`; `not there` without one."""
        return self.pairs("files").get(path, "not there")


def _halves(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        key, _, value = line.strip().partition(" ")
        yield key, value.strip()


# ── What more than one topic asks ───────────────────────────────────────────────────────────────────────────

# Units whose state is part of a control; several names of one unit are one block.
UNITS = (
    *("ssh.service", "ssh.socket", "gad-firewall.service", "nftables.service", "docker.service"),
    *("auditd.service", "acct.service", "logrotate.timer", "gad-aide.timer"),
    *("sysstat.service", "sysstat-collect.timer", "sysstat-summary.timer"),
    *("systemd-timesyncd.service", "apt-daily.timer", "apt-daily-upgrade.timer"),
    *("rescue.service", "emergency.service"),
)
PATHS = (
    "/etc/ssh",
    "/etc/ssh/sshd_config",
    "/etc/ssh/ssh_config",
    "/etc/docker",
    "/etc/docker/daemon.json",
    "/etc/gad-firewall.nft",
    "/etc/issue",
    "/etc/issue.net",
    "/etc/motd",
    "/var/log",
    "/var/lib/aide/aide.db",
)
TABLES = ("files.shadow", "files.passwd", "files.cron")


def _stat(plan: HostPlan) -> str:
    tables = [path for table in TABLES for path in plan.values.table(table)]
    log = plan.values.text("accounts.sudo-log")
    paths = [*PATHS, *tables, *plan.values.items("files.absent"), plan.base_dir, log]
    return f"stat -c '%n %a %U:%G' {shlex.join(dict.fromkeys(paths))}"


asks("container", "systemd-detect-virt --container")
asks("packages", "dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n'")
asks(
    "units",
    f"systemctl show -p Names,LoadState,UnitFileState,ActiveState,Environment,TimersCalendar,MainPID"
    f" -- {' '.join(UNITS)}",
)
asks("files", _stat)
