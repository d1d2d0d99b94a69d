"""The ids of dev-sec's two baselines; each belongs to a control by its `refs`."""

from __future__ import annotations

SSH = frozenset(
    [
        *(f"SB ssh-{n:02}" for n in range(1, 23)),
        *(f"SB sshd-{n:02}" for n in range(1, 51) if n != 26),
    ]
)
LINUX = frozenset(
    [
        *(f"LB os-{n:02}" for n in range(1, 17) if n != 8),
        *("LB os-03b", "LB os-05b"),
        *(f"LB package-{n:02}" for n in range(1, 10) if n not in (4, 7)),
        *(f"LB sysctl-{n:02}" for n in range(1, 36) if n not in (18, 31)),
        *("LB sysctl-31a", "LB sysctl-31b"),
    ]
)
