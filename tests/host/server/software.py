"""What is installed and what is not, upgrades, the watch over files, and what is said at a login."""

from __future__ import annotations

import re
import shlex
from typing import Any

from infra.host.controls import Control

from .facts import Facts, asks
from .proof import Proof, Table, proves

# needrestart's own reading of all its files: they are Perl.
NEEDRESTART = (
    'our %nrconf; our $LOGPREF = ""; $nrconf{verbosity} = 0;'
    ' eval do { local(@ARGV, $/) = "/etc/needrestart/needrestart.conf"; <> }; die $@ if $@;'
    " print $nrconf{restart}"
)
asks("apt", "apt-config dump")
asks("needrestart", f"perl -e {shlex.quote(NEEDRESTART)}")
asks("debsums", ". /etc/default/debsums; echo $CRON_CHECK")
asks("aide", "cat /etc/aide/aide.conf")
for _name in ("issue", "issue.net", "motd"):
    asks(_name, f"cat /etc/{_name}")

AIDE_DB = "/var/lib/aide/aide.db"


@proves("absent.*")
def absent(facts: Facts, control: Control) -> Proof:
    """Not installed; and dpkg answers, which it also does for a server with nothing on it."""
    return Proof(
        {"installed": [], "dpkg answers": True},
        {
            "installed": facts.present(facts.values.items(control.id)),
            "dpkg answers": facts.installed != frozenset(),
        },
    )


@proves("upgrades.packages", "integrity.packages")
def installed(facts: Facts, control: Control) -> Proof:
    """Installed."""
    return Proof({"not installed": []}, {"not installed": facts.missing(facts.values.items(control.id))})


def apt(facts: Facts) -> dict[str, list[str]]:
    """`apt-config dump`: option → its values; one that is part of a list ends with `::`."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'^(\S+) "(.*)";$', facts.said["apt"], flags=re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@proves("upgrades.every-days")
def every_days(facts: Facts, control: Control) -> Proof:
    """The index and the upgrades; and the timers that start both."""
    options = ("APT::Periodic::Update-Package-Lists", "APT::Periodic::Unattended-Upgrade")
    timers = ("apt-daily.timer", "apt-daily-upgrade.timer")
    return Proof(
        {**{option: [str(control.value)] for option in options}, **dict.fromkeys(timers, "active")},
        {
            **{option: apt(facts).get(option) for option in options},
            **{timer: facts.unit(timer, "ActiveState") for timer in timers},
        },
    )


@proves("upgrades.clean-days", "upgrades.remove-unused", "upgrades.reboot", "upgrades.origins")
def option(facts: Facts, control: Control) -> Proof:
    """As apt merges all its files."""
    name = {
        "upgrades.clean-days": "APT::Periodic::AutocleanInterval",
        "upgrades.remove-unused": "Unattended-Upgrade::Remove-Unused-Dependencies",
        "upgrades.reboot": "Unattended-Upgrade::Automatic-Reboot",
        "upgrades.origins": "Unattended-Upgrade::Origins-Pattern::",
    }[control.id]
    wanted: Any = [str(control.value).lower()]
    if control.id == "upgrades.origins":
        wanted = list(facts.values.table(control.id)[facts.plan.os])  # type: ignore[arg-type]
    return Proof({name: wanted}, {name: apt(facts).get(name)})


@proves("upgrades.restart")
def restart(facts: Facts, control: Control) -> Proof:
    """As needrestart reads it."""
    return Proof({"restart": control.value}, {"restart": facts.text("needrestart")})


@proves("integrity.package-files")
def package_files(facts: Facts, control: Control) -> Proof:
    """How often the job of debsums runs."""
    return Proof({"CRON_CHECK": control.value}, {"CRON_CHECK": facts.text("debsums")}, "file")


@proves("integrity.hash", "integrity.paths", "integrity.except")
def aide(facts: Facts, control: Control) -> Proof:
    """What AIDE compares, in its file."""
    lines = [line.strip() for line in facts.lines("aide") if line.lstrip()[0] != "#"]
    groups = {
        name.strip(): value.strip().split("+")
        for name, sign, value in (x.partition("=") for x in lines)
        if sign
    }
    rules = [line.split() for line in lines if line.startswith("/")]
    used = [each for rule in rules for name in rule[1:] for each in groups.get(name, [name])]
    wanted: Table
    match control.id.partition(".")[2]:
        case "hash":
            wanted, found = {"hash": True}, {"hash": str(control.value) in used}
        case "paths":
            wanted = {"compared": sorted(facts.values.items(control.id))}
            found = {"compared": sorted(rule[0] for rule in rules)}
        case _:
            wanted = {"left out": sorted(facts.values.items(control.id))}
            found = {"left out": sorted(line[1:] for line in lines if line.startswith("!"))}
    return Proof(wanted, found, "file")


@proves("integrity.at")
def night(facts: Facts, control: Control) -> Proof:
    """The timer of the nightly comparison, as systemd has it."""
    match = re.search(r"OnCalendar=(.*?) ;", facts.unit("gad-aide.timer", "TimersCalendar"))
    return Proof(
        {"each night at": f"*-*-* {control.value}", "timer": "active"},
        {"each night at": match[1] if match else None, "timer": facts.unit("gad-aide.timer", "ActiveState")},
    )


@proves("integrity.first-database")
def first_database(facts: Facts, control: Control) -> Proof:
    """There is something to compare with, which only root reads."""
    wanted = "600 root:root" if control.value else "not there"
    return Proof({AIDE_DB: wanted}, {AIDE_DB: facts.state(AIDE_DB)}, "effect")


@proves("banner.warning")
def warning(facts: Facts, control: Control) -> Proof:
    """The words, however they are wrapped; sshd shows the second one, a console the first."""
    said = {f"/etc/{name}": " ".join(facts.text(name).split()) for name in ("issue", "issue.net")}
    return Proof(dict.fromkeys(said, " ".join(str(control.value).split())), said, "file")


@proves("banner.motd")
def motd(facts: Facts, control: Control) -> Proof:
    """The words after a login."""
    return Proof({"/etc/motd": control.value}, {"/etc/motd": " ".join(facts.text("motd").split())}, "file")


@proves("banner.mode")
def banner_mode(facts: Facts, control: Control) -> Proof:
    """Mode and owner of all three."""
    found = {path: facts.state(path) for path in ("/etc/issue", "/etc/issue.net", "/etc/motd")}
    return Proof(dict.fromkeys(found, f"{control.value} root:root"), found)
