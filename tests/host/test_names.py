"""Whom a container asks for names: the engine, which knows its neighbours, and nobody put in by hand."""

from __future__ import annotations

import re

from engine import Running

from infra.operate.outputs import StackOutputs

SUBJECT = "names"
ENGINE = "127.0.0.11"  # where the engine answers in a network that was made for it


def test_names_are_looked_up_at_the_engine(running: Running, outputs: StackOutputs, role: str) -> None:
    """Looks names up at the engine, and knows none by hand but those of another server.

    Remedy: `gad up` replaces a container that was started by hand.
    """
    host = running.host_config
    elsewhere = [f"{name}:{ip}" for name, ip in sorted(outputs.hosts_of(role).items())]
    by_hand = {name: host[name] or [] for name in ("Dns", "DnsSearch", "DnsOptions", "ExtraHosts")}
    asked = re.findall(r"^nameserver (\S+)", "\n".join(running.look.sections["names"]), re.MULTILINE)
    assert (by_hand, asked) == (
        {"Dns": [], "DnsSearch": [], "DnsOptions": [], "ExtraHosts": elsewhere},
        [ENGINE],
    )
