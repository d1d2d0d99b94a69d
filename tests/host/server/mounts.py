"""Mounts: which options they have now, and that they get them at boot."""

from __future__ import annotations

from infra.host.controls import Control

from .facts import Facts, asks
from .proof import Proof, proves

asks("mounts", "findmnt -rno TARGET,VFS-OPTIONS")
asks("mounts at boot", "systemctl is-enabled gad-mounts.service; systemctl is-active gad-mounts.service")
PLAIN = "no mount"


@proves("mounts.*")
def options(facts: Facts, control: Control) -> Proof:
    """The options of the last mount at each path; one that is no mount has none to miss."""
    mounted, own = facts.pairs("mounts"), facts.values.items("mounts.own")
    wanted, found = {"at boot": "enabled active"}, {"at boot": " ".join(facts.lines("mounts at boot"))}
    for path, options in facts.values.table(control.id).items():
        there = mounted.get(path)
        asked = str(options).split(",")
        wanted[path] = PLAIN if there is None and path not in own else ",".join(asked)
        found[path] = PLAIN if there is None else ",".join(o for o in asked if o in there.split(","))
    return Proof(wanted, found)


@proves("mounts.own")
def own(facts: Facts, control: Control) -> Proof:
    """Each of them is a mount."""
    mounted = facts.pairs("mounts")
    missing = [path for path in facts.values.items(control.id) if path not in mounted]
    return Proof({PLAIN: []}, {PLAIN: missing})


@proves("mounts.apt-folder")
def apt_folder(facts: Facts, control: Control) -> Proof:
    """What apt has read of all its files."""
    name = "APT::ExtractTemplates::TempDir"
    return Proof({name: f'"{control.value}";'}, {name: facts.pairs("apt").get(name)})
