"""The firewall, changed in a way that cannot lock us out: a login proves the new rules, or they go again."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.operations import systemd

from infra.host import file, packages, proven
from infra.host.controls import Values
from infra.host.firewall import text
from infra.host.plan import HostPlan, Reach
from infra.host.step import step

UNIT = "gad-firewall.service"
# The rules in force are those of the file, as it is loaded in an empty network: without counters, and without
# the sources seen so far.
LIST = f"nft -st list table {text.TABLE}"
OF_FILE = f"unshare -n sh -c {shlex.quote(f'nft -f {text.RULES} && {LIST}')} 2>/dev/null"
DIFFERS = f'[ -e {text.RULES} ] && [ "$({LIST} 2>&1)" != "$({OF_FILE})" ]'
LOAD = f"nft -f {text.RULES}"
SERVED = (
    *("firewall.packages", "firewall.other-packages", "firewall.nftables-service", "firewall.file-mode"),
    *("firewall.default", "firewall.container-interfaces", "firewall.loopback-from-outside-dropped"),
    *("firewall.icmp", "firewall.icmpv6", "firewall.dhcpv6", "firewall.ssh-per-minute", "firewall.ssh-burst"),
)


@step("Firewall", serves=("firewall.ssh-move-minutes",))
def let_ssh_move(plan: HostPlan, values: Values) -> None:
    """Where the firewall is in force and SSH is about to get another port: open that for a while."""
    open_for_a_while(
        name="Let SSH move", port=plan.ssh_port, minutes=values.number("firewall.ssh-move-minutes")
    )


@step("Firewall", serves=SERVED)
def close_ports(plan: HostPlan, values: Values, *, reach: Reach) -> None:
    """After SSH has its port: open are that and what the plan opens."""
    packages.present(name="Install nftables", packages=values.items("firewall.packages"))
    load_again(name="Load them again where others are in force")
    proven.replace(
        name="Load the rules and prove a login",
        staged=[
            file.Staged(
                path=text.RULES,
                text=text.rules(
                    values, ssh_port=plan.ssh_port, open_ports=plan.open_ports, confined=plan.confined
                ),
                mode=values.text("firewall.file-mode"),
            )
        ],
        unit="gad-firewall-rollback",
        check="nft -c -f {0}",
        # Without a file, after a first one was taken back, there are no rules.
        apply=f"if [ -e {text.RULES} ]; then {LOAD}; else nft delete table {text.TABLE}; fi",
        login=reach.login_planned,
    )
    unit = file.whole(
        name="Unit that loads the rules at boot",
        path=f"/etc/systemd/system/{UNIT}",
        text=text.UNIT,
    )
    systemd.daemon_reload(name="Read the unit", _if=unit.did_change)
    # Only now: a machine that restarts before the proof comes up without the rules.
    systemd.service(name="Load them at boot", service=UNIT, running=True, enabled=True)
    if not values.flag("firewall.nftables-service"):
        mask(name="Keep nftables.service off", service="nftables.service")
    packages.absent(name="Remove other firewalls", packages=values.items("firewall.other-packages"))


@operation()
def load_again() -> Generator[StringCommand, None, None]:
    """The rules of the file, which a login has proven, after somebody changed those in force."""
    if host.get_fact(proven.HoldsFact, condition=DIFFERS):
        yield StringCommand(LOAD)


@operation()
def open_for_a_while(port: int, minutes: int) -> Generator[StringCommand, None, None]:
    """Open until the rules are loaded anew or the time is over, so that nothing is left of a failed move."""
    there = f"nft list table {text.TABLE} >/dev/null 2>&1"
    elsewhere = f"! sshd -T 2>/dev/null | grep -qx 'port {port}'"
    if host.get_fact(proven.HoldsFact, condition=f"{there} && {elsewhere}"):
        yield StringCommand(f"nft add element {text.TABLE} {text.MOVING} {{ {port} timeout {minutes}m }}")


class UnitState(FactBase[str]):
    """What `systemctl is-enabled` says of a unit: enabled, disabled, masked, not-found."""

    def command(self, service: str) -> str:
        """One word; never a failure."""
        return f"systemctl is-enabled {shlex.quote(service)} 2>/dev/null || true"

    @staticmethod
    def default() -> str:
        """Of a unit that systemd says nothing of."""
        return "not-found"

    def process(self, output: list[str]) -> str:
        """Read what the command printed."""
        return output[0]


@operation()
def mask(service: str) -> Generator[StringCommand, None, None]:
    """A unit that nobody starts any more; what it has done stays, because its end would undo it."""
    if host.get_fact(UnitState, service=service) not in ("masked", "not-found"):
        yield StringCommand(f"systemctl mask --quiet {shlex.quote(service)}")
