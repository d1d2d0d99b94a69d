"""Logs that last as long as they should and fill no disk, and numbers of who used what."""

from __future__ import annotations

from pyinfra.context import host
from pyinfra.operations import files, systemd

from infra.host import file, packages
from infra.host.container import InContainer
from infra.host.controls import Values
from infra.host.logs import text
from infra.host.plan import HostPlan
from infra.host.step import step

# Beside the service, which only notes a boot: these collect.
SYSSTAT = ("sysstat.service", "sysstat-collect.timer", "sysstat-summary.timer")


@step("Logs", serves=("logs.journal", "logs.other-daemons", "logs.forward", "logs.project-days"))
def keep_logs(plan: HostPlan, values: Values) -> None:
    """The journal on disk as the one log, and what the project writes beside it."""
    forward = str(values.table("logs.forward")["package"])
    others = [
        each for each in values.items("logs.other-daemons") if plan.syslog_to is None or each != forward
    ]
    packages.absent(name="Remove other daemons", packages=others)
    journal = file.whole(
        name="Write how the journal is kept",
        path="/etc/systemd/journald.conf",
        text=text.journald_conf(values),
    )
    # Debian's own part would prevail over the file above.
    vendor = files.link(
        name="Mask what would prevail", path="/etc/systemd/journald.conf.d/syslog.conf", target="/dev/null"
    )
    systemd.service(
        name="Read how it is kept",
        service="systemd-journald.service",
        restarted=True,
        _if=lambda: journal.did_change() or vendor.did_change(),
    )
    if plan.syslog_to is not None:
        send_away(forward, text.forward(values, plan.syslog_to))
    packages.present(name="Install logrotate", packages=["logrotate"])
    file.whole(
        name="Write how the project's logs rotate",
        path="/etc/logrotate.d/gad",
        text=text.rotation(values, plan.base_dir),
    )
    systemd.service(name="Keep rotation on", service="logrotate.timer", running=True, enabled=True)


def send_away(package: str, config: str) -> None:
    """The daemon that sends the journal to another machine, after the journal is as it shall be."""
    packages.present(name="Install what sends it away", packages=[package])
    changed = file.whole(name="Write where it is sent", path="/etc/rsyslog.conf", text=config)
    systemd.service(
        name="Read where it is sent", service="rsyslog.service", restarted=True, _if=changed.did_change
    )
    systemd.service(name="Keep sending", service="rsyslog.service", running=True, enabled=True)


@step("Accounting", serves=("logs.accounting", "logs.accounting-days"))
def count_use(plan: HostPlan, values: Values) -> None:
    """Who ran what, and what the machine did; a container cannot ask the kernel for the first."""
    packages.present(name="Install acct and sysstat", packages=list(values.items("logs.accounting")))
    file.whole(name="Write how long acct keeps", path="/etc/default/acct", text=text.acct(values))
    file.whole(name="Write that sysstat collects", path="/etc/default/sysstat", text=text.sysstat())
    running = None if host.get_fact(InContainer) else True
    systemd.service(name="Keep acct on", service="acct.service", running=running, enabled=True)
    for unit in host.loop(SYSSTAT):  # type: ignore[no-untyped-call]
        systemd.service(name="Keep sysstat on", service=unit, running=True, enabled=True)
