"""Why a server was not made ready: one sentence with its name, and what to do about it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from infra.errors import GadError
from infra.host.plan import ENDED
from infra.operate import server
from infra.ssh import SshAccess

STARTING = re.compile(r"--> Starting operation: (?P<name>.*)")
# What follows is pyinfra's end, or the traceback of a command that met the end of its connection.
ENDING = re.compile(r"^--> |^Traceback \(most recent call last\)")
NOISE = re.compile(
    r"^\s*(\[[^\]]*\]\s*)?(Error: (executed \d+ commands?|could not load fact: .*)|Success|No changes)?\s*$"
)
LOST = "Command socket/SSH error|Socket is closed|SSH session not active|EOFError|" + ENDED
# Of a server that goes down: its systemd no longer answers.
LOST += "|Transport endpoint is not connected|Failed to connect to .*bus|Broken pipe"
# What apt, dpkg, the kernel and SSH say → what to do before the next run, which goes on from there.
REMEDIES: Mapping[str, str] = {
    "No space left on device|enough free space|MiB free": "make room there (`df -h`)",
    "is another process using it|Could not get lock|locked by another process": (
        "wait until the other apt or dpkg there ends"
    ),
    "Failed to fetch|Temporary failure resolving|Unable to locate package|Could not connect": (
        "see whether the server reaches its package mirror (`apt-get update` there)"
    ),
    LOST: "see whether it is up and reached from here (what was not proven returns within 5 minutes)",
}


def failure(log: str, address: str) -> GadError:
    """Why a run ended early, out of pyinfra's log: it prints no report then."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log).splitlines()
    starts = [i for i, line in enumerate(lines) if STARTING.search(line)]
    gone = f"--> {ENDED}" in lines
    changed = sum(1 for line in lines if re.search(r"\]\s+Success$", line))
    if not starts:
        reason = ENDED if gone else " ".join(" ".join(lines[-6:]).split())
        return GadError(
            f"{address} was not changed: {reason or 'pyinfra gave no reason'}",
            remedy=f"{_remedy(reason)}, then run it again",
        )
    begin = starts[-1]
    stop = next((i for i in range(begin + 1, len(lines)) if ENDING.search(lines[i])), len(lines))
    match = STARTING.search(lines[begin])
    name = match["name"].strip() if match else "an operation"
    reason = _reason(lines[begin + 1 : stop])
    if gone or not reason or re.search(LOST, reason):
        reason = ENDED
    return GadError(
        f"{address}: {name}: {reason}",
        remedy=f"{_remedy(reason)}, then run it again: it goes on from there "
        f"({changed} operations before it had changed something and stay)",
    )


def is_another_host(answer: str) -> bool:
    """Whether the server showed another key than the pinned one; nothing was sent to it then."""
    return "Host key verification failed" in answer


def refused(said: Sequence[tuple[SshAccess, str]]) -> GadError:
    """Nobody we know is let in, or can become root: what each way in answered."""
    for way, answer in said:
        if is_another_host(answer):
            return server.refusal(answer, way)
    address, last = said[0][0].address, said[-1][0]
    answers = "; ".join(f"{way.user} on port {way.port}: {' '.join(answer.split())}" for way, answer in said)
    remedy = "check address, port, host key and private key; a new machine needs the account it came with"
    if user := next((way.user for way, answer in said if "sudo: a password" in answer), None):
        remedy = (
            f"let {user} become root without a password (`{user} ALL=(ALL:ALL) NOPASSWD: ALL` in sudoers)"
        )
    elif user := next((way.user for way, answer in said if "sudo" in answer and "not found" in answer), None):
        remedy = f"install sudo there, or state root in server.hardening.first_user instead of {user}"
    elif all(re.search("refused|timed out|No route|no answer", answer) for _, answer in said):
        remedy = f"see whether sshd runs there and a firewall lets port {last.port} through"
    return GadError(f"{address} lets nobody in that we know: {answers}", remedy=remedy)


def _remedy(reason: str) -> str:
    return next((told for words, told in REMEDIES.items() if re.search(words, reason)), "correct the cause")


def _reason(lines: Sequence[str]) -> str:
    """The words of a command, without pyinfra's; of many only those that say what is wrong."""
    said = [re.sub(r"^\s*\[[^\]]*\]\s*", "", line).strip() for line in lines if not NOISE.match(line)]
    known = "|".join(("^E: |^dpkg: error", *REMEDIES))
    errors = [line for line in said if re.search(known, line) and not line.startswith("W: ")]
    return " ".join(" ".join(errors or said).split())
