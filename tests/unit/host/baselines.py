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
# Without a control so far. Only ever shorter: whoever adds the control takes its id out of here.
NOT_YET = LINUX - {
    "LB os-03b",
    "LB os-05",
    "LB os-05b",
    "LB os-07",
    "LB os-11",
    "LB package-01",
    "LB package-02",
    "LB package-03",
    "LB package-05",
    "LB package-06",
    "LB package-08",
    "LB package-09",
}
NOT_YET -= {ref for ref in LINUX if ref.startswith("LB sysctl-")} | {"LB os-10", "LB os-12"}
NOT_YET -= {f"LB os-{n}" for n in ("01", "02", "03", "04", "06", "09", "11", "13")}
