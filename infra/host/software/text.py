"""Files of apt, needrestart, AIDE and debsums as wholes, from controls. Pure."""

from __future__ import annotations

from infra.errors import GadError
from infra.host.controls import FILE, Os, Values

HEAD = "Written by infra/host/software from config/controls.yaml: a change here is overwritten.\n"
AIDE_CONFIG = "/etc/aide/aide.conf"
AIDE_DB = "/var/lib/aide/aide.db"
# What is compared of a file: all but times of reading, which a backup changes. The hash is added by control.
AIDE_ATTRIBUTES = "p+i+n+u+g+s+b+m+c+acl+xattrs+ftype"


def upgrades(values: Values, system: Os) -> str:
    """apt.conf: fetch the index and install security upgrades each day, from no other origin.

    Lists in apt.conf grow with each file; those of the package and of Ubuntu are emptied first. Raises
    GadError if the control names no origin for this system.
    """
    origins = values.table("upgrades.origins").get(system, ())
    if not isinstance(origins, tuple) or not origins:
        raise GadError(f"upgrades.origins names none for {system}", remedy=f"correct {FILE}")
    every = values.number("upgrades.every-days")
    lines = [
        f'APT::Periodic::Update-Package-Lists "{every}";',
        f'APT::Periodic::Unattended-Upgrade "{every}";',
        f'APT::Periodic::AutocleanInterval "{values.number("upgrades.clean-days")}";',
        "#clear Unattended-Upgrade::Allowed-Origins;",
        "#clear Unattended-Upgrade::Origins-Pattern;",
        "Unattended-Upgrade::Origins-Pattern {",
        *(f'    "{origin}";' for origin in origins),
        "};",
        f'Unattended-Upgrade::Automatic-Reboot "{_word(values.flag("upgrades.reboot"))}";',
        f'Unattended-Upgrade::Remove-Unused-Dependencies "{_word(values.flag("upgrades.remove-unused"))}";',
        'Unattended-Upgrade::SyslogEnable "true";',
    ]
    return f"// {HEAD}" + "".join(f"{line}\n" for line in lines)


def needrestart(values: Values) -> str:
    """What happens to services that still run what an upgrade replaced. Perl, as needrestart wants it."""
    mode = values.text("upgrades.restart")
    return (
        f"# {HEAD}$nrconf{{restart}} = '{mode}';\n$nrconf{{kernelhints}} = 0;\n$nrconf{{ucodehints}} = 0;\n"
    )


def debsums(values: Values) -> str:
    """/etc/default/debsums: how often the job of the package compares its files with what Debian shipped."""
    return f"# {HEAD}CRON_CHECK={values.text('integrity.package-files')}\n"


def aide(values: Values) -> str:
    """aide.conf: what is compared with its state of the night before."""
    lines = [
        f"database_in=file:{AIDE_DB}",
        f"database_out=file:{AIDE_DB}.new",
        "gzip_dbout=yes",
        "report_url=stdout",
        "report_level=changed_attributes",
        f"GAD = {AIDE_ATTRIBUTES}+{values.text('integrity.hash')}",
        *(f"{path} GAD" for path in values.items("integrity.paths")),
        *(f"!{path}" for path in values.items("integrity.except")),
    ]
    return f"# {HEAD}" + "".join(f"{line}\n" for line in lines)


def aide_script() -> str:
    """One night: compare, say what differs, and begin anew from there, so that each change is told once.

    Exit codes 1 to 7 of AIDE say what kind of difference there is; others are failures.
    """
    return f"""#!/bin/sh
# {HEAD}set -u
umask 077
if [ ! -e {AIDE_DB} ]; then
    nice aide --config={AIDE_CONFIG} --init
else
    nice aide --config={AIDE_CONFIG} --update
fi
code=$?
[ $code -le 7 ] || exit $code
mv -f {AIDE_DB}.new {AIDE_DB}
# A difference fails the unit, which is seen by whoever watches units.
exit $code
"""


AIDE_SERVICE = f"""# {HEAD}[Unit]
Description=Compare the files of the system with their state of the night before

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/gad-aide
Nice=19
IOSchedulingClass=idle
CPUWeight=idle
"""


def aide_timer(values: Values) -> str:
    """When it runs."""
    return f"""# {HEAD}[Unit]
Description=Compare the files of the system each night

[Timer]
OnCalendar=*-*-* {values.text("integrity.at")}
RandomizedDelaySec=10min
Persistent=true

[Install]
WantedBy=timers.target
"""


def _word(value: bool) -> str:
    return str(value).lower()
