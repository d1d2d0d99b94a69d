"""One time client and the plan's time zone."""

from __future__ import annotations

from pyinfra.context import host
from pyinfra.operations import files, systemd

from infra.host import file, packages
from infra.host.clock import text
from infra.host.container import InContainer
from infra.host.controls import Values
from infra.host.plan import HostPlan
from infra.host.step import step


@step("Clock", serves=("clock.*",))
def set_clock(plan: HostPlan, values: Values) -> None:
    """The client of systemd; in a container it does not run, because the clock is its host's."""
    client = values.text("clock.client")
    packages.absent(name="Remove other clients", packages=list(values.items("clock.others")))
    packages.present(name="Install the client", packages=[client])
    written = file.whole(
        name="Write whom it asks",
        path="/etc/systemd/timesyncd.conf",
        text=text.timesyncd_conf(values),
    )
    unit = f"{client}.service"
    if host.get_fact(InContainer):
        systemd.service(name="Keep it on", service=unit, running=None, enabled=True)
    else:
        systemd.service(name="Keep it on", service=unit, running=True, enabled=True)
        systemd.service(name="Read whom to ask", service=unit, restarted=True, _if=written.did_change)
    # The link and not `timedatectl`, which also tells the kernel: the first call of that kind moves the clock
    # by the zone's hours, and in a lab it is the clock of the whole machine (seen).
    zone = values.text("clock.zone").format(timezone=plan.timezone)
    files.link(name="Set the time zone", path="/etc/localtime", target=f"/usr/share/zoneinfo/{zone}")
