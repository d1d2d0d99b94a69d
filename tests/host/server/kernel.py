"""The kernel: by value where it is this server's, by the files that systemd reads where it is another's."""

from __future__ import annotations

from fnmatch import fnmatchcase

from infra.host.controls import Control

from .facts import Facts, asks
from .proof import Proof, Source, proves

asks("sysctl", "sysctl -a")
asks("settable", "find /proc/sys -type f -writable -printf '%P\\n' | tr / .")
asks("sysctl.d", "/usr/lib/systemd/systemd-sysctl --cat-config")
asks("overruling", "cd /etc/sysctl.d && grep -H '' *")
asks("modprobe", "modprobe -c")
asks("efi", "ls -d /sys/firmware/efi")
asks("snap", "ls -d /var/lib/snapd")
asks("core limit", "ulimit -Sc; ulimit -Hc")
asks("coredump", "cat /etc/systemd/coredump.conf /etc/systemd/coredump.conf.d/*.conf")
asks("cpu", "cd /sys/devices/system/cpu/vulnerabilities && grep -H . *")
asks("nx", "grep -m1 '^flags' /proc/cpuinfo")
# A lab sees the bridges of its machine, and must not change them.
OTHERS = "net.bridge."


def is_seen(facts: Facts, key: str) -> bool:
    """Whether the value in effect is this server's: its own kernel, or a part of it that a container owns.

    Of `net.bridge.*` only once the module is there, which Docker loads when it needs it.
    """
    if facts.in_container:
        return key in facts.lines("settable") and not key.startswith(OTHERS)
    return not key.startswith(OTHERS) or key in facts.assigned("sysctl")


@proves("sysctl.*")
def parameter(facts: Facts, control: Control) -> Proof:
    """In effect, and after a restart too."""
    key = control.id.partition(".")[2]
    wanted = str(control.value)
    expected, found = {"at boot": wanted}, {"at boot": facts.assigned("sysctl.d").get(key)}
    source: Source = "file"
    if is_seen(facts, key):
        source = "value"
        expected["now"], found["now"] = wanted, facts.assigned("sysctl").get(key)
    return Proof(expected, found, source)


@proves("kernel.modules-disabled")
def modules_disabled(facts: Facts, control: Control) -> Proof:
    """Nothing switches loading off, or on."""
    key = "kernel.modules_disabled"
    if not facts.text("sysctl"):
        raise LookupError("sysctl says nothing")
    at_boot, now = (facts.assigned(where).get(key, "0") == "1" for where in ("sysctl.d", "sysctl"))
    return Proof({"at boot": control.value, "now": control.value}, {"at boot": at_boot, "now": now})


@proves("kernel.overruled-files")
def overruled(facts: Facts, control: Control) -> Proof:
    """A file of the same name in /etc stands for the one of the system, and sets nothing."""
    lines = [line.partition(":") for line in facts.lines("overruling")]
    found = {}
    for name in facts.values.items(control.id):
        own = [text for file, _, text in lines if file == name]
        found[name] = (
            "sets something" if any(t.strip() and t.strip()[0] not in "#;" for t in own) else "sets nothing"
        )
        found[name] = found[name] if own else "not there"
    return Proof(dict.fromkeys(found, "sets nothing"), found, "file")


@proves("kernel.blocked-modules", "kernel.blocked-without-efi", "kernel.blocked-without-snap")
def blocked(facts: Facts, control: Control) -> Proof:
    """As modprobe reads all its files. A server that needs one for EFI or snap must not block it."""
    needed = {"kernel.blocked-without-efi": "efi", "kernel.blocked-without-snap": "snap"}.get(control.id)
    wanted = needed is None or facts.text(needed) == ""
    lines = set(facts.lines("modprobe"))
    found = {}
    for name in facts.values.items(control.id):
        module = name.replace("-", "_")  # as modprobe writes it
        found[name] = {f"install {module} /bin/true", f"blacklist {module}"} <= lines
    return Proof(dict.fromkeys(found, wanted), found)


@proves("kernel.needed-modules")
def needed_modules(facts: Facts, control: Control) -> Proof:
    """None of them is blocked by anything."""
    lines = [line.split() for line in facts.lines("modprobe")]
    off = [line[1] for line in lines if line[0] == "install" and line[2:3] in (["/bin/true"], ["/bin/false"])]
    patterns = facts.values.items(control.id)
    found = sorted(name for name in off if any(fnmatchcase(name, each) for each in patterns))
    return Proof(
        {"blocked": [], "modprobe answers": True}, {"blocked": found, "modprobe answers": lines != []}
    )


@proves("kernel.core-limit")
def core_limit(facts: Facts, control: Control) -> Proof:
    """Of this very login: soft and hard limit."""
    return Proof({"limits": [str(control.value)] * 2}, {"limits": facts.text("core limit").split()})


@proves("kernel.core-storage")
def core_storage(facts: Facts, control: Control) -> Proof:
    """What a collector would keep, were it installed."""
    return Proof({"Storage": control.value}, {"Storage": facts.assigned("coredump").get("Storage")}, "file")


@proves("kernel.cpu-flaws")
def cpu_flaws(facts: Facts, control: Control) -> Proof:
    """Flaws that nothing mitigates, beside those that are accepted. A lab's kernel is that of its machine,
    on which nothing here has a say: that it tells of them is all there is to see."""
    said = [line.partition(":") for line in facts.lines("cpu")]
    if facts.in_container:
        return Proof({"the kernel tells": True}, {"the kernel tells": said != []}, "file")
    open_to = {name for name, _, text in said if "vulnerable" in text.lower()}
    return Proof(
        {"open to": [], "the kernel tells": True},
        {"open to": sorted(open_to - set(facts.values.items(control.id))), "the kernel tells": said != []},
    )


@proves("kernel.no-execute")
def no_execute(facts: Facts, control: Control) -> Proof:
    """Processors other than x86 have no such flag, because all of them can."""
    flags = facts.text("nx").split()
    return Proof({"nx": control.value}, {"nx": "nx" in flags or not flags})
