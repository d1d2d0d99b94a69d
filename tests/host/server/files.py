"""Files: modes and owners, setuid, what must not be there, where a shell looks."""

from __future__ import annotations

import shlex

from infra.host.controls import Control
from infra.host.plan import HostPlan

from .facts import Facts, asks
from .proof import Proof, proves


def _found(plan: HostPlan) -> str:
    tests = " -o ".join(f"-iname {shlex.quote(name)}" for name in plan.values.items("files.absent-names"))
    skip = r"\( -path /proc -o -path /sys -o -path /dev -o -path /run \) -prune"
    return f"find / -maxdepth 3 {skip} -o \\( {tests} \\) -print"


asks("absent names", _found)
asks("setuid", "find / -xdev -type f -perm /6000")
asks("overrides", "dpkg-statoverride --list")
asks("path", "PATH=.:/usr/bin:/bin:; for part in /etc/profile.d/*.sh; do . $part; done; echo $PATH")


@proves("files.shadow", "files.passwd", "files.cron")
def modes(facts: Facts, control: Control) -> Proof:
    """Mode and owner of those that are there; the first of a list always is."""
    table = {path: str(state) for path, state in facts.values.table(control.id).items()}
    first = next(iter(table))
    there = {
        path: state for path, state in table.items() if path == first or facts.state(path) != "not there"
    }
    return Proof(there, {path: facts.state(path) for path in there})


@proves("files.log")
def log(facts: Facts, control: Control) -> Proof:
    """The folder of logs."""
    wanted = facts.values.table(control.id)[facts.plan.os]
    return Proof({"/var/log": wanted}, {"/var/log": facts.state("/var/log")})


@proves("files.absent")
def absent(facts: Facts, control: Control) -> Proof:
    """None of them is there."""
    found = [path for path in facts.values.items(control.id) if facts.state(path) != "not there"]
    return Proof({"there": []}, {"there": found})


@proves("files.absent-names")
def absent_names(facts: Facts, control: Control) -> Proof:
    """None in any home."""
    return Proof({"there": []}, {"there": sorted(facts.lines("absent names"))})


@proves("files.no-setuid")
def no_setuid(facts: Facts, control: Control) -> Proof:
    """None of them runs as somebody else, nor will once its package is installed anew."""
    programs = facts.values.items(control.id)
    kept = {line.split(" ", 3)[3] for line in facts.lines("overrides") if line.startswith("root root 0755 ")}
    kept |= {line.split(" ", 3)[3] for line in facts.lines("overrides") if line.startswith("root root 755 ")}
    some = facts.lines("setuid")
    return Proof(
        {"setuid": [], "setuid after a new installation": [], "other programs were seen": True},
        {
            "setuid": sorted(set(programs) & set(some)),
            "setuid after a new installation": sorted(set(programs) - kept),
            "other programs were seen": some != [],
        },
    )


@proves("files.relative-path")
def relative_path(facts: Facts, control: Control) -> Proof:
    """What the parts of the profile leave of a path that has the current folder in it."""
    parts = facts.text("path").split(":") if facts.text("path") else []
    return Proof(
        {"has the current folder": control.value, "is a path": True},
        {"has the current folder": any(part[:1] != "/" for part in parts), "is a path": parts != []},
        "effect",
    )
