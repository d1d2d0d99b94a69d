"""What the suite of `gad verify` and the dry run of a server's deploy found, as differences. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from infra.operate.drift_report import AS_DECLARED, OTHERWISE, Difference, not_compared, one_line
from infra.operate.host import HostResult
from infra.operate.verify import Check, Report

# What a check is about, where others look at the same thing: check → aspect, under the check's own subject.
ASPECTS: Mapping[str, str] = {
    "Memory is limited as declared, with no swap on top": "memory",
    "The kernel holds the declared limit of memory": "memory",
    "CPU is limited as declared": "processor time",
    "The kernel holds the declared limit of CPU": "processor time",
    "Its environment is the image's and the declared one, nothing else": "environment",
    "Its labels are the image's and the declared ones: stack, role and data class among them": "labels",
    "Has exactly its mounts, from where and as writable as declared": "mounts",
    "Runs the declared image, by digest": "image",
    "Runs as its declared numeric user, which is not root": "user",
    "Is on exactly its networks, by its role's name": "networks",
    "Its log is kept in three files of 10 MB at most": "log",
    "Starts again after a crash or a reboot, unless a person stopped it": "restart policy",
    "Looks names up at the engine, and knows none by hand but those of another server": "names",
    "Is labelled with stack, prefix, role and the data class of its service": "labels",
    "Is labelled with stack, prefix, role and data class": "labels",
}
# The same for checks of another subject than the thing's own.
ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "The files of the proxy, PostgreSQL and Redis on the host are as the last update wrote them": (
        "written files",
        "written files",
    ),
    "Exactly the declared ports are published, and by nobody else of the stack": ("proxy", "ports"),
    "The host's file names the declared slot as the one in rotation": ("release", "slot in rotation"),
    "The live slot says it is ready, the idle one that it is out of rotation": (
        "release",
        "slot in rotation",
    ),
    "Answers come from the slot that is declared to be in rotation": ("release", "slot in rotation"),
    "HTTP/3 answers what was advertised, from the same slot, with the same certificate": (
        "release",
        "slot in rotation",
    ),
}
COMPARED = re.compile(r"assert (?P<found>.+?) == (?P<expected>.+)")
CONTAINER = re.compile(r"container (?P<name>\S+) (?P<state>does not exist|does not run.*)")
ROLES = ("api-blue", "api-green", "postgres", "proxy", "redis")

# Two operations that write one file: the last one only takes root's login out of it.
SAME_FILE: Mapping[str, str] = {
    "Root's login | Write sshd_config and prove a login": "SSH server | Write sshd_config and prove a login"
}


def of_checks(report: Report) -> tuple[Difference, ...]:
    """A difference for each check that failed, and one for each cause by which checks could not be made.

    No check at all is a difference too: nothing was proven.
    """
    if not report.checks:
        return (not_compared("checks", "no check was made", f"see `gad verify {report.stack}`"),)
    found = [_failed(each) for each in report.failures if each.outcome == "failed"]
    prevented = {each.detail: each for each in report.failures if each.outcome != "failed"}
    found += [_prevented(each, report.stack) for _, each in sorted(prevented.items())]
    return tuple(found)


def _failed(check: Check) -> Difference:
    subject, aspect = ELSEWHERE.get(check.check, (check.subject, ASPECTS.get(check.check, check.check)))
    first = check.detail.splitlines()[0] if check.detail else OTHERWISE
    compared = COMPARED.fullmatch(first)
    return Difference(
        subject=subject,
        aspect=aspect,
        found_by=("checks",),
        expected=one_line(compared["expected"]) if compared else AS_DECLARED,
        found=one_line(compared["found"] if compared else check.detail or OTHERWISE),
        remedy=one_line(check.remedy, longest=300),
    )


def _prevented(check: Check, stack: str) -> Difference:
    named = CONTAINER.search(check.detail)
    role = next((each for each in ROLES if named and named["name"].endswith(f"-{each}")), None)
    if named is None or role is None:
        return not_compared("checks", check.detail, f"bring it up with `gad up {stack}`, and look again")
    return Difference(
        subject=role,
        aspect="container",
        found_by=("checks",),
        expected="as the last update made it",
        found=one_line(named["state"]),
        remedy=f"`gad up {stack}`, or `gad drift {stack} --fix`",
    )


def of_deploy(result: HostResult, stack: str) -> tuple[Difference, ...]:
    """A difference for each operation that would change something."""
    return tuple(
        Difference(
            subject="server",
            aspect=aspect,
            found_by=("deploy",),
            expected="as config/controls.yaml and the stack file say",
            found=OTHERWISE,
            remedy=f"`gad host apply {stack}`, or `gad drift {stack} --fix`",
        )
        for aspect in dict.fromkeys(SAME_FILE.get(each, each) for each in result.changed)
    )
