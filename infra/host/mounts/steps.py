"""Mounts, and before them the tool that puts programs into /tmp."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.operations import files, systemd

from infra.host import file
from infra.host.controls import Values
from infra.host.mounts import text
from infra.host.plan import HostPlan
from infra.host.step import step

UNIT = "gad-mounts.service"


@step("Mounts", serves=(*text.TABLES, "mounts.own", "mounts.apt-folder"))
def tighten_mounts(plan: HostPlan, values: Values) -> None:
    """First apt's folder, then the mounts, now and at each boot.

    An option that a control no longer has stays until the server starts anew.
    """
    folder = values.text("mounts.apt-folder")
    files.directory(name="Folder of apt", path=folder, user="root", group="root", mode="700")
    file.whole(name="Write apt's folder", path="/etc/apt/apt.conf.d/60gad-folder", text=text.apt(values))
    file.whole(name="Write the script", path=text.SCRIPT, text=text.script(values), mode="755")
    tighten(name="Set the options", script=text.differing(values))
    unit = file.whole(name="Unit that sets them at boot", path=f"/etc/systemd/system/{UNIT}", text=text.UNIT)
    systemd.daemon_reload(name="Read the unit", _if=unit.did_change)
    systemd.service(name="Set them at boot", service=UNIT, running=True, enabled=True)


class Loose(FactBase[tuple[str, ...]]):
    """Mounts that lack an option, by path."""

    def command(self, script: str) -> str:
        """The script that prints them."""
        return script

    @staticmethod
    def default() -> tuple[str, ...]:
        """None."""
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        """Read what the command printed."""
        return tuple(output)


@operation()
def tighten(script: str) -> Generator[StringCommand, None, None]:
    """Set options where one is missing; fails if one is missing then."""
    if host.get_fact(Loose, script=script):
        # As one command, so that what it prints is why it failed.
        yield StringCommand(f'{text.SCRIPT} && left=$({script}) && {{ echo "$left"; [ -z "$left" ]; }}')
