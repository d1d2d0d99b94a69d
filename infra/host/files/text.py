"""What files must be, and the search path of shells, from controls. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from infra.errors import GadError
from infra.host.controls import FILE, Os, Values

HEAD = "# Written by infra/host/files from config/controls.yaml: a change here is overwritten.\n"
TABLES = ("files.shadow", "files.passwd", "files.cron")


def modes(values: Values, system: Os) -> Mapping[str, str]:
    """Path → mode and owner, such as `640 root:shadow`. Raises GadError for a system it says nothing of."""
    found = {path: str(state) for table in TABLES for path, state in values.table(table).items()}
    log = values.table("files.log").get(system)
    if log is None:
        raise GadError(f"files.log has no word for {system}", remedy=f"correct {FILE}")
    return {**found, "/var/log": str(log)}


def profile(values: Values) -> str:
    """A part of /etc/profile that takes out of PATH what depends on where one is, if that is wanted."""
    if values.flag("files.relative-path"):
        return HEAD
    return (
        f"{HEAD}# An empty part is the current folder, as `.` is.\n"
        'PATH=$(printf "%s" "$PATH" | tr ":" "\\n" | grep "^/" | paste -s -d :)\nexport PATH\n'
    )
