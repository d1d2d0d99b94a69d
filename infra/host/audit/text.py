"""auditd.conf and the rules, from controls. Pure."""

from __future__ import annotations

from infra.host.controls import Values

HEAD = "# Written by infra/host/audit from config/controls.yaml: a change here is overwritten.\n"
# People and what they started: accounts from 1000 on, and not what no login stands behind.
PEOPLE = "-F auid>=1000 -F auid!=4294967295"


def auditd_conf(values: Values) -> str:
    """The daemon's whole configuration, one directive a line."""
    return HEAD + "".join(f"{name} = {value}\n" for name, value in values.table("audit.daemon").items())


def rules(values: Values) -> str:
    """All rules. What must not be watched comes first, because the first rule that fits decides.

    `-i`: a path that this server has not is no reason to start without all other rules.
    """
    lines = ["-D", f"-b {values.number('audit.backlog')}", "-f 1", "-i"]
    lines += [f"-a never,exit -F dir={path}" for path in values.items("audit.unwatched")]
    for control, value in values.under("audit.rules").items():
        lines += [str(rule).replace("PEOPLE", PEOPLE) for rule in _list(control, value)]
    lines += [
        f"-a always,exit -F path={path} -F perm=x {PEOPLE} -k privileged"
        for path in values.items("audit.privileged")
    ]
    lines += [f"-w {path} -p wa -k docker" for path in values.items("audit.docker")]
    if values.flag("audit.immutable"):
        lines.append("-e 2")
    return HEAD + "".join(f"{line}\n" for line in lines)


def _list(control: str, value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        raise TypeError(f"audit.rules.{control} is no list")
    return value
