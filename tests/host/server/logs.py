"""Logs, accounting, and the clock."""

from __future__ import annotations

from infra.host.controls import Control

from .facts import Facts, asks
from .proof import Proof, proves
from .ssh import word

asks("journald", "systemd-analyze cat-config systemd/journald.conf")
asks("timesyncd", "systemd-analyze cat-config systemd/timesyncd.conf")
asks("forward", "systemctl is-active rsyslog.service; cat /etc/rsyslog.conf")
asks("zone", "readlink -f /etc/localtime")
asks("rotation", "cat /etc/logrotate.d/gad")
asks(
    "acct",
    ". /etc/default/acct; echo ACCT_ENABLE=$ACCT_ENABLE; echo ACCT_LOGGING=$ACCT_LOGGING",
)
asks("sysstat", ". /etc/default/sysstat; echo ENABLED=$ENABLED")
ZONES = "/usr/share/zoneinfo/"


@proves("logs.journal")
def journal(facts: Facts, control: Control) -> Proof:
    """All files of the journal as systemd merges them; the daemon tells nobody what it has read."""
    wanted = {name: word(value) for name, value in facts.values.table(control.id).items()}
    said = facts.assigned("journald")
    return Proof(wanted, {name: said.get(name) for name in wanted}, "file")


@proves("logs.other-daemons")
def other_daemons(facts: Facts, control: Control) -> Proof:
    """Not installed, but for the one that sends the log away where it is sent."""
    sent = facts.plan.syslog_to is not None
    allowed = {str(facts.values.table("logs.forward")["package"])} if sent else set()
    found = facts.present(facts.values.items(control.id))
    return Proof({"installed": []}, {"installed": [each for each in found if each not in allowed]})


@proves("logs.forward")
def forward(facts: Facts, control: Control) -> Proof:
    """Running and told where, if the plan says where; else there is none."""
    host, _, port = (facts.plan.syslog_to or "").rpartition(":")
    target = f'target="{host.strip("[]")}" port="{port}"' if port else ""
    state, *config = facts.lines("forward") or [""]
    return Proof(
        {"daemon": "active" if port else "inactive", "sends to the receiver": bool(port)},
        {"daemon": state, "sends to the receiver": bool(port) and target in "".join(config)},
    )


@proves("clock.others")
def not_installed(facts: Facts, control: Control) -> Proof:
    """Not installed."""
    return Proof({"installed": []}, {"installed": facts.present(facts.values.items(control.id))})


@proves("logs.project-days")
def project_days(facts: Facts, control: Control) -> Proof:
    """How many files are kept, how old they get, where they are; and that somebody rotates."""
    said, days = facts.pairs("rotation"), str(control.value)
    base = facts.plan.base_dir
    places = [line.strip() for line in facts.lines("rotation") if line.startswith(base)]
    timer = facts.unit("logrotate.timer", "ActiveState")
    return Proof(
        {
            "rotate": days,
            "maxage": days,
            "files": [f"{base}/logs/*.log", f"{base}/*/logs/*.log"],
            "timer": "active",
        },
        {"rotate": said.get("rotate"), "maxage": said.get("maxage"), "files": places, "timer": timer},
        "file",
    )


@proves("logs.accounting")
def accounting(facts: Facts, control: Control) -> Proof:
    """Installed, switched on, and collecting; a container cannot ask the kernel who ran what."""
    units = ("acct.service", "sysstat.service", "sysstat-collect.timer", "sysstat-summary.timer")
    wanted = {"not installed": [], **dict.fromkeys(units, "enabled"), "ENABLED": "true"}
    found = {
        "not installed": facts.missing(facts.values.items(control.id)),
        **{unit: facts.unit(unit, "UnitFileState") for unit in units},
        "ENABLED": facts.assigned("sysstat").get("ENABLED"),
        "sysstat-collect.timer is": facts.unit("sysstat-collect.timer", "ActiveState"),
    }
    return Proof({**wanted, "sysstat-collect.timer is": "active"}, found)


@proves("logs.accounting-days")
def accounting_days(facts: Facts, control: Control) -> Proof:
    """As its own jobs read it."""
    said = facts.assigned("acct")
    return Proof(
        {"ACCT_ENABLE": "1", "ACCT_LOGGING": str(control.value)},
        {"ACCT_ENABLE": said.get("ACCT_ENABLE"), "ACCT_LOGGING": said.get("ACCT_LOGGING")},
        "file",
    )


@proves("clock.client")
def client(facts: Facts, control: Control) -> Proof:
    """Installed, on after a restart; a container has its machine's clock, so there it does not run."""
    unit = f"{control.value}.service"
    state = {} if facts.in_container else {"is": "active"}
    return Proof(
        {"not installed": [], "at boot": "enabled", **state},
        {
            "not installed": facts.missing((str(control.value),)),
            "at boot": facts.unit(unit, "UnitFileState"),
            "is": facts.unit(unit, "ActiveState"),
        },
    )


@proves("clock.servers")
def servers(facts: Facts, control: Control) -> Proof:
    """Whom it asks, and nobody else."""
    said = facts.assigned("timesyncd")
    return Proof(
        {"NTP": list(facts.values.items(control.id)), "FallbackNTP": ""},
        {"NTP": said.get("NTP", "").split(), "FallbackNTP": said.get("FallbackNTP")},
        "file",
    )


@proves("clock.zone")
def zone(facts: Facts, control: Control) -> Proof:
    """The zone of the plan; a zone has several names, so it is the file that counts."""
    wanted = str(control.value).format(timezone=facts.plan.timezone)
    found = facts.text("zone").removeprefix(ZONES)
    return Proof({"zone": wanted.removeprefix("Etc/")}, {"zone": found.removeprefix("Etc/")})
