"""auditd with its rules. In a container they are written and not loaded: the kernel there is another's."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.operations import server, systemd

from infra.host import file, packages
from infra.host.audit import text
from infra.host.container import InContainer
from infra.host.controls import Values
from infra.host.plan import HostPlan
from infra.host.step import step


@step("Audit", serves=("audit.*",))
def record_changes(plan: HostPlan, values: Values) -> None:
    """The daemon, what it keeps, and what the kernel tells it."""
    in_container = host.get_fact(InContainer)
    packages.present(name="Install auditd", packages=list(values.items("audit.packages")))
    daemon = file.whole(
        name="Write what it keeps",
        path="/etc/audit/auditd.conf",
        text=text.auditd_conf(values),
        mode="640",
    )
    file.whole(
        name="Write what is recorded",
        path="/etc/audit/rules.d/audit.rules",
        text=text.rules(values),
        mode="640",
    )
    merge_rules(name="Put the rules in force", load=not in_container)
    if in_container:
        systemd.service(name="Keep it on", service="auditd.service", running=None, enabled=True)
    else:
        systemd.service(name="Keep it on", service="auditd.service", running=True, enabled=True)
        # Not by a restart, which Ubuntu's unit refuses.
        server.shell(
            name="Read its configuration",
            commands=["systemctl kill -s HUP --kill-whom=main auditd.service"],
            _if=daemon.did_change,
        )


class RulesState(FactBase[str]):
    """`changed` if audit.rules is not what rules.d says, `empty` if the kernel has no rule, else `same`."""

    def command(self) -> str:
        """The first line of each; never a failure, also where the kernel does not answer."""
        return (
            "if ! augenrules --check 2>/dev/null | grep -q 'No change'; then echo changed;"
            " elif auditctl -l 2>/dev/null | grep -q '^No rules'; then echo empty; else echo same; fi"
        )

    def process(self, output: list[str]) -> str:
        """Read what the command printed."""
        return output[0]


@operation()
def merge_rules(*, load: bool) -> Generator[StringCommand, None, None]:
    """Make audit.rules, and give it to the kernel if `load`; one that is locked takes it after a restart."""
    state = host.get_fact(RulesState)
    if state == "changed" or (load and state == "empty"):
        loaded = "augenrules --load || auditctl -s | grep -q '^enabled 2'"
        yield StringCommand(loaded if load else "augenrules")
