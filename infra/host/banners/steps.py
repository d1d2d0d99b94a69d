"""The texts before and after a login."""

from __future__ import annotations

from pyinfra.context import host

from infra.host import file
from infra.host.banners import text
from infra.host.controls import Values
from infra.host.plan import HostPlan
from infra.host.step import step


@step("Banners", serves=("banner.*",))
def write_banners(plan: HostPlan, values: Values) -> None:
    """At the console, over the network, and after the login."""
    warning = text.warning(values)
    said = {"/etc/issue": warning, "/etc/issue.net": warning, "/etc/motd": text.motd(values)}
    for path in host.loop(said):  # type: ignore[no-untyped-call]
        file.whole(
            name=f"Write {path}",
            path=path,
            text=said[path],
            mode=values.text("banner.mode"),
        )
