"""What is installed and what is not, upgrades that nobody starts, and the watch over files."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.facts.files import File
from pyinfra.operations import files, systemd

from infra.host import file, packages
from infra.host.controls import Values
from infra.host.plan import HostPlan
from infra.host.software import text
from infra.host.step import step

AIDE_TIMER = "gad-aide.timer"
# What the step below serves is not among these.
WATCHED = ("packages", "package-files", "hash", "paths", "except", "at")


@step("Packages", serves=("absent.*",))
def remove_packages(plan: HostPlan, values: Values) -> None:
    """Nothing that listens or speaks in clear text without being asked for."""
    unwanted = [name for topic in values.root for name in values.items(topic)]
    packages.absent(name="Remove what no server needs", packages=unwanted)


@step("Upgrades", serves=("upgrades.*",))
def keep_current(plan: HostPlan, values: Values) -> None:
    """Security upgrades each day; services that run old code are restarted."""
    # The file first: the package starts with what it finds.
    file.whole(
        name="Write what is upgraded",
        path="/etc/apt/apt.conf.d/60gad-upgrades",
        text=text.upgrades(values, plan.os),
    )
    files.directory(name="Folder of needrestart", path="/etc/needrestart/conf.d", user="root", group="root")
    file.whole(
        name="Write what is restarted",
        path="/etc/needrestart/conf.d/60-gad.conf",
        text=text.needrestart(values),
    )
    packages.present(
        name="Install what upgrades and restarts", packages=list(values.items("upgrades.packages"))
    )
    for timer in host.loop(["apt-daily.timer", "apt-daily-upgrade.timer"]):  # type: ignore[no-untyped-call]
        systemd.service(name=f"Keep {timer} on", service=timer, running=True, enabled=True)


@step("Integrity", serves=tuple(f"integrity.{name}" for name in WATCHED))
def watch_files(plan: HostPlan, values: Values) -> None:
    """AIDE and debsums, each night."""
    packages.present(name="Install AIDE and debsums", packages=list(values.items("integrity.packages")))
    file.whole(name="Write when debsums runs", path="/etc/default/debsums", text=text.debsums(values))
    for path in host.loop(["/etc/aide", "/var/lib/aide"]):  # type: ignore[no-untyped-call]
        files.directory(name="Folder of AIDE", path=path, user="root", group="root", mode="700")
    file.whole(name="Write what AIDE compares", path=text.AIDE_CONFIG, text=text.aide(values), mode="600")
    file.whole(name="Write its night", path="/usr/local/sbin/gad-aide", text=text.aide_script(), mode="755")
    units = "/etc/systemd/system"
    service = file.whole(name="Write its unit", path=f"{units}/gad-aide.service", text=text.AIDE_SERVICE)
    timer = file.whole(name="Write its timer", path=f"{units}/{AIDE_TIMER}", text=text.aide_timer(values))
    systemd.daemon_reload(name="Read the units", _if=lambda: service.did_change() or timer.did_change())
    systemd.service(name="Keep its timer on", service=AIDE_TIMER, running=True, enabled=True)


@step("Files", serves=("integrity.first-database",))
def remember_files(plan: HostPlan, values: Values) -> None:
    """What AIDE compares with in the first night; after all other steps, which it would report."""
    if values.flag("integrity.first-database"):
        first_database(name="Make the first database of AIDE")


@operation()
def first_database() -> Generator[StringCommand, None, None]:
    """By the unit of the night, unless there is one already."""
    if host.get_fact(File, path=text.AIDE_DB) is None:
        yield StringCommand("systemctl start gad-aide.service")
