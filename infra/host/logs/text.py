"""journald.conf, a rule of logrotate and the switches of accounting, from controls. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from infra.host.controls import Values

HEAD = "# Written by infra/host/logs from config/controls.yaml: a change here is overwritten.\n"


def journald_conf(values: Values) -> str:
    """The journal's whole configuration."""
    lines = [f"{name}={_word(value)}" for name, value in values.table("logs.journal").items()]
    return f"{HEAD}[Journal]\n" + "".join(f"{line}\n" for line in lines)


def rotation(values: Values, base_dir: str) -> str:
    """Logs below the project's directory: each day a new file, gone after the days of the control.

    Truncated in place, because whoever writes is in a container and cannot be told.
    """
    days = values.number("logs.project-days")
    options = [
        *("daily", f"rotate {days}", f"maxage {days}", "missingok", "notifempty", "compress"),
        *("copytruncate", "su root root"),
    ]
    body = "".join(f"    {option}\n" for option in options)
    return f"{HEAD}{base_dir}/logs/*.log\n{base_dir}/*/logs/*.log\n{{\n{body}}}\n"


def forward(values: Values, receiver: str) -> str:
    """rsyslog.conf: the journal goes to `host:port` by TCP, from where it ended last time, and nowhere else.

    Nothing is written here but what waits for the receiver, whom it is asked again for as long as it takes.
    """
    host, _, port = receiver.rpartition(":")
    wanted = values.table("logs.forward")
    action: dict[str, object] = {
        **{"type": "omfwd", "target": host.strip("[]"), "port": port, "protocol": "tcp"},
        **{"template": "RSYSLOG_SyslogProtocol23Format", "tcp_framing": "octet-counted"},
        **{"action.resumeRetryCount": "-1", "action.resumeInterval": wanted["retry-seconds"]},
        **{"queue.type": "linkedList", "queue.filename": "gad-forward"},
        **{"queue.maxDiskSpace": wanted["queue"], "queue.saveOnShutdown": "on"},
    }
    journal = {
        **{"load": "imjournal", "stateFile": "gad-journal"},
        **{"ignorePreviousMessages": "on", "rateLimit.interval": "0"},
    }
    parts = (("global", {"workDirectory": "/var/spool/rsyslog"}), ("module", journal), ("action", action))
    return HEAD + "".join(f"{kind}({_assigned(words)})\n" for kind, words in parts)


def acct(values: Values) -> str:
    """/etc/default/acct."""
    return f'{HEAD}ACCT_ENABLE="1"\nACCT_LOGGING="{values.number("logs.accounting-days")}"\n'


def sysstat() -> str:
    """/etc/default/sysstat: without the word its jobs do nothing."""
    return f'{HEAD}ENABLED="true"\n'


def _assigned(words: Mapping[str, object]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in words.items())


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
