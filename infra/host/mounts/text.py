"""What each mount may hold, as a script that sets it and one that finds what differs, from controls. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from infra.errors import GadError
from infra.host.controls import FILE, Values

HEAD = "# Written by infra/host/mounts from config/controls.yaml: a change here is overwritten.\n"
TABLES = ("mounts.open", "mounts.data", "mounts.logs", "mounts.boot", "mounts.devices")
ALLOWED = {"nodev", "nosuid", "noexec"}  # each takes something away; none can keep a server from its start
SCRIPT = "/usr/local/sbin/gad-mounts"


def wanted(values: Values) -> Mapping[str, str]:
    """Path → options, such as `nodev,nosuid`. Raises GadError for an option that is none of the three."""
    found = {path: str(each) for table in TABLES for path, each in values.table(table).items()}
    for path, options in found.items():
        if strange := set(options.split(",")) - ALLOWED:
            raise GadError(
                f"{path}: {', '.join(sorted(strange))} is no option that is set here",
                remedy=f"correct {FILE}",
            )
    return found


def differing(values: Values) -> str:
    """A script that prints each path that lacks an option; of mounts on each other the last one counts.

    A path that is no mount has no options, and is only missed where the controls want it to be one.
    """
    own = " ".join(values.items("mounts.own"))
    look = (
        'look() { now=$(findmnt -rno VFS-OPTIONS --mountpoint "$1" | tail -n 1); '
        f'[ -n "$now" ] || case " {own} " in *" $1 "*) ;; *) return 0;; esac; '
        'for each in $2; do case ",$now," in *",$each,"*) ;; *) echo "$1"; return 0;; esac; done; }'
    )
    calls = (
        f"look {shlex.quote(path)} {shlex.quote(options.replace(',', ' '))}"
        for path, options in wanted(values).items()
    )
    return "; ".join([look, *calls])


def script(values: Values) -> str:
    """Sets the options at boot and in a deploy, of what is a mount; what must be one is bound onto itself.

    With `remount,bind` only this mount changes, by whatever it was made and whoever else mounts the same file
    system. With `rbind` what is mounted below stays in sight. One that fails does not keep the others.
    """
    own = "".join(f"own {shlex.quote(path)}\n" for path in values.items("mounts.own"))
    every = "".join(f"only {options} {shlex.quote(path)}\n" for path, options in wanted(values).items())
    return (
        f"#!/bin/sh\n{HEAD}failed=0\n"
        'own() { mountpoint -q "$1" || mount --rbind "$1" "$1" || failed=1; }\n'
        'only() { ! mountpoint -q "$2" || mount -o "remount,bind,$1" "$2" || failed=1; }\n'
        f"{own}{every}exit $failed\n"
    )


# After all mounts of the machine, before anything that could use them. Wanted, not required: a server whose
# script fails starts without it, and the failed unit says so.
UNIT = f"""{HEAD}[Unit]
Description=Mounts without devices, setuid or programs
DefaultDependencies=no
After=local-fs.target systemd-remount-fs.service
Before=sysinit.target systemd-tmpfiles-setup.service shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={SCRIPT}

[Install]
WantedBy=sysinit.target
"""


def apt(values: Values) -> str:
    """apt.conf: where apt-extracttemplates puts scripts of packages, which its caller then runs."""
    return f'// {HEAD[2:]}APT::ExtractTemplates::TempDir "{values.text("mounts.apt-folder")}";\n'
