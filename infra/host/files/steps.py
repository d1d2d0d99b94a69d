"""Modes and owners, and what must not be there."""

from __future__ import annotations

from infra.host import file
from infra.host.controls import Values
from infra.host.files import operations, text
from infra.host.plan import HostPlan
from infra.host.step import step


@step(
    "Files",
    serves=(*text.TABLES, "files.log", "files.absent", "files.absent-names", "files.no-setuid"),
)
def keep_files(plan: HostPlan, values: Values) -> None:
    """Who reads and writes what decides about accounts and jobs; no setuid without need."""
    operations.keep(name="Modes and owners", wanted=dict(text.modes(values, plan.os)))
    operations.without_setuid(name="Take setuid away", paths=list(values.items("files.no-setuid")))
    operations.without(
        name="Remove files that let others in",
        names=list(values.items("files.absent-names")),
        paths=list(values.items("files.absent")),
    )


@step("Search path", serves=("files.relative-path",))
def keep_path(plan: HostPlan, values: Values) -> None:
    """Nobody starts by mistake what lies where they are. Late by its name, after what adds to it."""
    file.whole(
        name="Write the part of the profile",
        path="/etc/profile.d/zz-gad-path.sh",
        text=text.profile(values),
    )
