"""The deploy user's authorized_keys and sudo rule. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

# What a key may not do here; sshd_config says the same for all, and either alone is enough.
LIMITS = ("no-agent-forwarding", "no-port-forwarding", "no-X11-forwarding")


def authorized_keys(keys: Sequence[str], *, come_from: Sequence[IPv4Network | IPv6Network]) -> str:
    """One line a key, in the order given; `come_from` are the networks they may be used from, none: any."""
    networks = ",".join(str(network) for network in come_from)
    options = ",".join([*([f'from="{networks}"'] if networks else []), *LIMITS])
    return "".join(f"{options} {key}\n" for key in keys)


def sudo_rule(account: str) -> str:
    """Root without a password: nobody is there to type one, and the account has none."""
    return f"{account} ALL=(ALL:ALL) NOPASSWD: ALL\n"
