"""timesyncd.conf, from controls. Pure."""

from __future__ import annotations

from infra.host.controls import Values

HEAD = "# Written by infra/host/clock from config/controls.yaml: a change here is overwritten.\n"


def timesyncd_conf(values: Values) -> str:
    """Whom it asks. The fallback is emptied: it would be asked without anybody knowing."""
    servers = " ".join(values.items("clock.servers"))
    return f"{HEAD}[Time]\nNTP={servers}\nFallbackNTP=\n"
