"""Debian packages that set-up may install as root, each with its reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.errors import GadError
from infra.toolchain.progress import Reporter

# An ordinary user's PATH lacks sbin, where daemons and iptables live.
_SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


@dataclass(frozen=True)
class DebianPackage:
    """A package, the executable that proves it is there, and why we need it."""

    name: str
    proof: str
    reason: str


ENGINE = (
    DebianPackage("docker.io", "dockerd", "the Docker engine"),
    DebianPackage(
        "iptables", "iptables", "dockerd publishes ports with it, and docker.io only recommends it"
    ),
)
ALWAYS = (DebianPackage("openssh-client", "ssh", "servers are reached over SSH"),)
OFFLINE = (
    DebianPackage("mmdebstrap", "mmdebstrap", "the base image, where no image registry can be reached"),
)


def find(executable: str) -> str | None:
    """Like `which`, with sbin."""
    return shutil.which(executable, path=_SYSTEM_PATH)


def missing(
    packages: Iterable[DebianPackage], find: Callable[[str], str | None] = find
) -> tuple[DebianPackage, ...]:
    """Those whose executable is not there, whoever might have installed it."""
    return tuple(package for package in packages if find(package.proof) is None)


def is_debian(os_release: str) -> bool:
    """True for Debian and what derives from it, given the text of /etc/os-release."""
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    return "debian" in f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".replace('"', "").split()


def offer(packages: Iterable[DebianPackage], reporter: Reporter) -> None:
    """Install what is missing where we may; elsewhere only say so, as not every machine will need it."""
    try:
        require(packages, reporter)
    except GadError as error:
        reporter.note(f"{error.fact}; if it is needed: {error.remedy}")


def require(packages: Iterable[DebianPackage], reporter: Reporter) -> None:
    """Install what is missing, as root on Debian. Raises GadError that names the packages elsewhere."""
    needed = missing(packages)
    if not needed:
        return
    names = " ".join(package.name for package in needed)
    reasons = "; ".join(f"{package.proof} ({package.reason})" for package in needed)
    release = Path("/etc/os-release")
    debian = release.is_file() and is_debian(release.read_text())
    if not debian or os.geteuid() != 0:
        raise GadError(
            f"not installed: {reasons}",
            remedy=f"sudo apt-get install {names}"
            if debian
            else "install it with this system's package manager",
        )
    _install([package.name for package in needed], reporter)


def _install(names: list[str], reporter: Reporter) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with reporter.steps(f"installing {' '.join(names)}") as advance:
        for argv in (
            ["apt-get", "update", "-q"],
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", *names],
        ):
            with subprocess.Popen(
                argv,
                env=env,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as apt:
                lines = [advance_with(line, advance) for line in apt.stdout or ()]
            if apt.returncode:
                raise GadError(
                    f"`{' '.join(argv)}` failed: {(lines or ['no output'])[-1]}",
                    remedy="run it by hand, mend what it names, then run `gad setup` again",
                )


def advance_with(line: str, advance: Callable[[str], None]) -> str:
    """Show one line of apt and keep it for the error."""
    advance(line.strip())
    return line.strip()
