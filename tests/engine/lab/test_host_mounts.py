"""Mounts of a hardened server: what they may hold, now, after somebody changed it, and after a restart.

A lab has no file system of its own at /boot, /var and below: there the script is tried in a namespace.
"""

from __future__ import annotations

import shlex

import docker
import pytest

from infra.host.mounts.text import SCRIPT, differing, wanted
from infra.operate.lab import LabName
from tests.engine.lab.hardened import ROOT, VALUES, Runs, Server, eventually

pytestmark = pytest.mark.engine
control = pytest.mark.control
WANTED = wanted(VALUES)
MOUNTED = ("/dev", "/dev/shm", "/home", "/run", "/tmp", "/var/tmp")  # noqa: S108 (on a lab)
STOCK = {"/dev/shm", "/run"}  # noqa: S108 (this machine's engine makes them so)
LOOSE = f"sh -c {shlex.quote(differing(VALUES))}"


def options(text: str, path: str) -> set[str]:
    """Those of the last mount at a path; none of one that is no mount."""
    found = [line.split()[1] for line in text.splitlines() if line.split()[0] == path]
    return set(found[-1].split(",")) if found else set()


@control("mounts.open", "mounts.data", "mounts.devices", "mounts.own")
@pytest.mark.parametrize("path", MOUNTED)
def test_options(runs: Runs, path: str) -> None:
    needed = set(WANTED[path].split(","))
    assert needed - options(runs.now["mounts"], path) == set()
    assert (needed - options(runs.stock["mounts"], path) == set()) is (path in STOCK)


@control("mounts.data", "mounts.logs", "mounts.boot")
def test_options_of_file_systems_that_other_servers_have(server: Server) -> None:
    """With what is mounted below /var still there."""
    others = sorted(set(WANTED) - set(MOUNTED))
    made = "mount --rbind /var /var; for path in /boot /var/log /var/log/audit; do mkdir -p $path;"
    script = (
        f"set -e; {made} mount -t tmpfs none $path; done; {LOOSE}; echo --; {SCRIPT}; {LOOSE}; echo --;"
        " mountpoint -q /var/lib/docker; findmnt -rno TARGET,VFS-OPTIONS"
    )
    before, after, mounts = server.run(f"unshare -m sh -c {shlex.quote(script)}").split("--\n")
    assert others == ["/boot", "/var", "/var/log", "/var/log/audit"]
    assert sorted(before.split()) == others
    assert after == ""
    assert "noexec" not in options(mounts, "/var")


@control("mounts.open")
def test_nothing_runs_where_everybody_writes(server: Server) -> None:
    folders = [path for path in WANTED if path in VALUES.table("mounts.open")]
    tried = "cp /bin/true $folder/proof; $folder/proof 2>&1; echo $?; rm $folder/proof"
    said = server.run(f"for folder in {' '.join(folders)}; do {tried}; done").splitlines()
    assert said[1::2] == ["126"] * len(folders)
    assert all(line.endswith("Permission denied") for line in said[::2])


@control("mounts.open", "mounts.own")
def test_what_somebody_loosened_is_named_and_comes_back(server: Server) -> None:
    server.run("mount -o remount,bind,exec /tmp; umount /var/tmp")
    assert server.run(LOOSE).split() == ["/tmp", "/var/tmp"]  # noqa: S108 (on a lab)
    assert server.apply().changed == ("Mounts | Set the options",)
    assert server.run(LOOSE) == ""


PACKAGE = {
    "control": "Package: gad-proof\nVersion: 1\nArchitecture: all\nMaintainer: gad\nDescription: proof\n",
    "templates": "Template: gad-proof/x\nType: string\nDescription: proof\n",
    "config": "#!/bin/sh\n. /usr/share/debconf/confmodule\ndb_get gad-proof/x\necho $0 >>/run/gad-proof\n",
}


@control("mounts.apt-folder")
def test_a_package_that_asks_questions_is_installed(runs: Runs, server: Server) -> None:
    """Debconf runs its script before it is unpacked, and so from a folder of temporary files."""
    setting = f'APT::ExtractTemplates::TempDir "{VALUES.text("mounts.apt-folder")}";'
    assert (setting in runs.now["apt"], setting in runs.stock["apt"]) == (True, False)
    files = "; ".join(f"printf %s {shlex.quote(text)} >DEBIAN/{name}" for name, text in PACKAGE.items())
    install = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends"
    said = server.run(
        f"umask 022; mkdir -p /root/proof/DEBIAN; cd /root/proof; {files}; chmod 755 DEBIAN/config; cd;"
        f" {{ {install} apt-utils; dpkg-deb -b proof proof.deb; {install} ./proof.deb; }} >/dev/null;"
        " cat /run/gad-proof; apt-get -qq -y purge gad-proof apt-utils >/dev/null;"
        " rm -rf proof proof.deb /run/gad-proof"
    )
    before, *_ = said.splitlines()
    assert before.startswith("/var/cache/debconf/tmp.ci/")  # not dpkg's, where it would be run once more


@control("mounts.open", "mounts.own")
def test_they_are_there_after_a_restart(client: docker.DockerClient, server: Server) -> None:
    container = client.containers.get(LabName(server.run("hostname").strip(), ROOT).prefix)
    container.restart(timeout=60)
    eventually(lambda: server.ask("true"), until=lambda said: said.code == 0)
    assert server.run("systemctl is-system-running --wait || true").split()[0] in ("running", "degraded")
    assert server.run("systemctl is-active gad-mounts.service") == "active\n"
    assert server.run(LOOSE) == ""
