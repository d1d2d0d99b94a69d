"""The kernel's audit: its rules in force where the kernel is this server's, else the file of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from infra.host.controls import Control

from .facts import Facts, asks
from .proof import Proof, Source, proves

PEOPLE = "-F auid>=1000 -F auid!=4294967295"
PRIVILEGED = "-a always,exit -F path={} -F perm=x " + PEOPLE + " -k privileged"
asks("auditd.conf", "cat /etc/audit/auditd.conf")
asks("audit.rules", "cat /etc/audit/audit.rules")
asks("audit loaded", "auditctl -l")
asks("audit status", "auditctl -s")


# Parents of what is watched: the kernel refuses a rule about a folder that is not there.
asks(
    "audit folders",
    "find / -xdev -maxdepth 4 -type d ! -path '/proc/*' ! -path '/sys/*' -print; find /run -type d",
)

Rule = tuple[str, ...]


def normal(rule: str) -> Rule:
    """A rule in one form, whether as auditctl takes it or as it lists it: its parts, sorted.

    A watch (`-w PATH -p PERMS`) is a rule about a path; system calls stand one by one; a key is a field.
    """
    words = rule.split()
    parts: set[str] = set()
    for flag, value in zip(words[::2], words[1::2], strict=True):
        match flag:
            case "-w":
                parts |= {f"path={value.rstrip('/')}", "always,exit"}
            case "-p":
                parts.add(f"perm={''.join(sorted(value))}")
            case "-S":
                parts |= {f"call {call}" for call in value.split(",") if call != "all"}
            case "-k":
                parts.add(f"key={value}")
            case "-a":
                parts.add(",".join(sorted(value.split(","))))
            case "-F":
                parts.add(_field(value))
            case _:
                raise ValueError(f"{flag} of {rule!r} is not known")
    return tuple(sorted(parts))


def _field(field: str) -> str:
    name, sign, value = re.fullmatch(r"(\w+)(!=|>=|<=|=|>|<)(.*)", field).groups()  # type: ignore[union-attr]
    if name in ("path", "dir"):
        return f"path={value.rstrip('/')}"
    if name == "perm":
        return f"perm={''.join(sorted(value))}"
    unset = value in ("-1", "4294967295", "unset")
    return f"{name}{sign}{'unset' if unset else value}"


def rules_in(facts: Facts) -> tuple[set[Rule], Source]:
    """The rules in force; of the file in a container, whose kernel is another's."""
    source: Source = "file" if facts.in_container else "value"
    lines = facts.lines("audit.rules" if facts.in_container else "audit loaded")
    return {normal(line) for line in lines if line.startswith(("-a", "-w"))}, source


def applies(facts: Facts, rule: str) -> bool:
    """Whether the kernel takes a rule: one about a path needs the folder that the path is in."""
    paths = [part.removeprefix("path=") for part in normal(rule) if part.startswith("path=")]
    folders = {*facts.lines("audit folders"), "/"}
    return facts.in_container or all(path.rpartition("/")[0] in ("", *folders) for path in paths)


def compared(facts: Facts, rules: Iterable[str]) -> Proof:
    """Each rule is there. Rules beside them, of somebody else, are no fault."""
    there, source = rules_in(facts)
    wanted = [rule for rule in rules if applies(facts, rule)]
    missing = [rule for rule in wanted if normal(rule) not in there]
    return Proof(
        {"missing rules": [], "rules": True}, {"missing rules": missing, "rules": there != set()}, source
    )


@proves("audit.rules.*")
def rules(facts: Facts, control: Control) -> Proof:
    """As the control has them, for people where it says so."""
    return compared(facts, [each.replace("PEOPLE", PEOPLE) for each in facts.values.items(control.id)])


@proves("audit.unwatched")
def unwatched(facts: Facts, control: Control) -> Proof:
    """What is never recorded."""
    return compared(facts, [f"-a never,exit -F dir={path}" for path in facts.values.items(control.id)])


@proves("audit.privileged")
def privileged(facts: Facts, control: Control) -> Proof:
    """Each program, started by a person."""
    return compared(facts, [PRIVILEGED.format(path) for path in facts.values.items(control.id)])


@proves("audit.docker")
def docker(facts: Facts, control: Control) -> Proof:
    """Each file of the engine."""
    return compared(facts, [f"-w {path} -p wa -k docker" for path in facts.values.items(control.id)])


@proves("audit.packages")
def packages(facts: Facts, control: Control) -> Proof:
    """Installed, on after a restart, and at work where the kernel answers to it."""
    state = {} if facts.in_container else {"auditd.service is": "active"}
    return Proof(
        {"not installed": [], "auditd.service at boot": "enabled", **state},
        {
            "not installed": facts.missing(facts.values.items(control.id)),
            "auditd.service at boot": facts.unit("auditd.service", "UnitFileState"),
            "auditd.service is": facts.unit("auditd.service", "ActiveState"),
        },
    )


@proves("audit.daemon")
def daemon(facts: Facts, control: Control) -> Proof:
    """The daemon tells nobody what it has read."""
    wanted = {name: str(value) for name, value in facts.values.table(control.id).items()}
    said = facts.assigned("auditd.conf")
    return Proof(wanted, {name: said.get(name) for name in wanted}, "file")


@proves("audit.backlog")
def backlog(facts: Facts, control: Control) -> Proof:
    """The kernel's limit, or the one it would be told."""
    wanted = {"backlog": str(control.value)}
    if not facts.in_container:
        return Proof(wanted, {"backlog": facts.pairs("audit status").get("backlog_limit")})
    said = [line.split()[1] for line in facts.lines("audit.rules") if line.startswith("-b ")]
    return Proof(wanted, {"backlog": said[-1] if said else None}, "file")


@proves("audit.immutable")
def immutable(facts: Facts, control: Control) -> Proof:
    """Whether the rules are locked until a restart."""
    lines = facts.lines("audit.rules")
    if facts.in_container:
        return Proof(
            {"locked": control.value, "rules": True},
            {"locked": "-e 2" in lines, "rules": lines != []},
            "file",
        )
    enabled = facts.pairs("audit status").get("enabled")
    return Proof(
        {"locked": control.value, "audit": True}, {"locked": enabled == "2", "audit": enabled in ("1", "2")}
    )
