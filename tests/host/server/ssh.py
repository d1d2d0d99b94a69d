"""SSH: by what sshd and ssh say is in effect, and by their files, which outside graders read."""

from __future__ import annotations

import re
from collections.abc import Mapping

from infra.host.controls import Control, Value

from .facts import Facts, asks
from .proof import AtLeast, Proof, proves

# Of a connection from outside (RFC 5737): a Match block could say something else for it.
asks("sshd", lambda plan: f"sshd -T -C user={plan.deploy_user},host=client.example,addr=192.0.2.1")
asks("sshd_config", "cat /etc/ssh/sshd_config")
asks("ssh", "ssh -F /etc/ssh/ssh_config -G server.example")
asks("ssh_config", "cat /etc/ssh/ssh_config")
asks("algorithms", 'for list in cipher kex key-sig mac; do ssh -Q $list | sed "s/^/$list /"; done')
asks("sshd options", "tr '\\0' ' ' < /proc/$(systemctl show -P MainPID ssh.service)/cmdline")
asks("host keys", "for key in /etc/ssh/ssh_host_*_key; do ssh-keygen -lf $key; done")
asks("moduli", "awk '!/^#/ {print $5}' /etc/ssh/moduli | sort -n | head -1")

# Lists of algorithms: separated by commas, and by the name by which `ssh -Q` knows them.
ALGORITHMS = {"Ciphers": "cipher", "HostKeyAlgorithms": "key-sig", "KexAlgorithms": "kex", "MACs": "mac"}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def word(value: object) -> str:
    """A value as SSH prints it: a flag is yes or no."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def known(facts: Facts, name: str, value: Value) -> Value:
    """A list of algorithms without those that this OpenSSH does not have; any other value as it is."""
    there = {line.split()[1] for line in facts.lines("algorithms") if line.split()[0] == ALGORITHMS.get(name)}
    if name not in ALGORITHMS or not isinstance(value, tuple):
        return value
    return tuple(each for each in value if each in there) or value


def wanted(facts: Facts, name: str, value: Value) -> list[str]:
    """What `sshd -T` or `ssh -G` prints of a directive, a line each, sorted."""
    if isinstance(value, Mapping):
        raise TypeError(f"{name} is a mapping")
    words = [word(each) for each in value] if isinstance(value, tuple) else [word(value)]
    match name:
        case "ListenAddress":
            return sorted(f"{f'[{a}]' if ':' in a else a}:{facts.plan.ssh_port}" for a in words)
        case "LoginGraceTime":
            match = re.fullmatch(r"(\d+)([smhd]?)", words[0])
            return [str(int(match[1]) * SECONDS.get(match[2], 1))] if match else words
        case "Subsystem":
            return [" ".join(words)]
    return [",".join(words)] if name in ALGORITHMS else sorted(words)


def stated(lines: list[str], name: str) -> list[str]:
    """The values of a directive, sorted; `true` and `false`, as `ssh -G` says some, are yes and no."""
    pairs = (line.split(None, 1) for line in lines if line.strip()[0] != "#")
    said = [pair[1].strip() for pair in pairs if len(pair) == 2 and pair[0].lower() == name.lower()]
    return sorted({"true": "yes", "false": "no"}.get(each, each) for each in said)


@proves("sshd_config.*", "ssh_config.*")
def directive(facts: Facts, control: Control) -> Proof:
    """In effect, and stated in the file: what is only a default changes with a package."""
    topic, _, name = control.id.partition(".")
    program, shown = {"sshd_config": ("sshd", "sshd -T"), "ssh_config": ("ssh", "ssh -G")}[topic]
    value = known(facts, name, control.value)
    if control.id == "sshd_config.Port":
        value = facts.plan.ssh_port
    said, in_file = stated(facts.lines(program), name), stated(facts.lines(topic), name) != []
    return Proof(
        {shown: wanted(facts, name, value), f"stated in {topic}": True},
        {shown: said, f"stated in {topic}": in_file},
    )


@proves("ssh.folder-mode", "ssh.server-config-mode", "ssh.client-config-mode")
def mode(facts: Facts, control: Control) -> Proof:
    """Mode and owner."""
    paths = {"folder-mode": "/etc/ssh", "server-config-mode": "/etc/ssh/sshd_config"}
    path = paths.get(control.id.partition(".")[2], "/etc/ssh/ssh_config")
    return Proof({path: f"{control.value} root:root"}, {path: facts.state(path)})


@proves("ssh.server-options")
def options(facts: Facts, control: Control) -> Proof:
    """Of the process that listens: `sshd: /usr/sbin/sshd -D [listener] 0 of 10-60 startups`."""
    line = facts.text("sshd options").partition("[listener]")[0].split()
    given = [each for each in line if each not in ("sshd:", "-D") and not each.endswith("/sshd")]
    return Proof(
        {"options": control.value, "sshd listens": True},
        {"options": " ".join(given), "sshd listens": line != []},
    )


@proves("ssh.socket-activation")
def socket(facts: Facts, control: Control) -> Proof:
    """Its unit is off, and the server's own is on."""
    on = (
        facts.unit("ssh.socket", "UnitFileState") == "enabled"
        or facts.unit("ssh.socket", "ActiveState") == "active"
    )
    service = facts.unit("ssh.service", "ActiveState")
    return Proof(
        {"ssh.socket is on": control.value, "ssh.service": "active"},
        {"ssh.socket is on": on, "ssh.service": service},
    )


@proves("ssh.rsa-bits")
def rsa(facts: Facts, control: Control) -> Proof:
    """The size of the RSA host key."""
    sizes = [int(line.split()[0]) for line in facts.lines("host keys") if line.endswith("(RSA)")]
    return Proof(
        {"bits of the RSA key": AtLeast(_number(control))}, {"bits of the RSA key": min(sizes, default=None)}
    )


@proves("ssh.moduli-bits")
def moduli(facts: Facts, control: Control) -> Proof:
    """The shortest group; without the file sshd uses one of its own, which is long enough."""
    shortest = facts.text("moduli")
    number = _number(control)
    # Sizes in the file are one less than the bits (moduli(5)); the control counts as the file does.
    return Proof(
        {"bits of the shortest group": AtLeast(number)},
        {"bits of the shortest group": int(shortest) if shortest else number},
    )


@proves("ssh.obsolete-directives")
def obsolete(facts: Facts, control: Control) -> Proof:
    """Neither file states one."""
    lines = [*facts.lines("sshd_config"), *facts.lines("ssh_config")]
    found = [name for name in facts.values.items(control.id) if stated(lines, name)]
    return Proof({"stated": [], "files": True}, {"stated": found, "files": bool(lines)}, "file")


def _number(control: Control) -> int:
    if not isinstance(control.value, int):
        raise TypeError(f"{control.id} is no number")
    return control.value
