"""What one process of the stack does for all of them (app/leader.py); each noun's work, listed here.

Events have a leader of their own, so that no slow duty delays them.
"""

from __future__ import annotations

from app.audit import sealer
from app.leader import Duty, Leader
from app.rotation import Rotation

EVENTS_LOCK = 0x6761645F6576  # any numbers, the same for ever
UPKEEP_LOCK = 0x6761645F7570

EVENTS: tuple[Duty, ...] = ()
UPKEEP: tuple[Duty, ...] = (Duty(name="seal", every_s=sealer.EVERY_S, run=sealer.seal),)


def leaders(url: str, *, name: str, rotation: Rotation) -> tuple[Leader, ...]:
    """Who does them; each runs for ever in every process, and leads in one."""
    return (
        Leader(url, EVENTS, lock=EVENTS_LOCK, name=f"{name}-events", rotation=rotation),
        Leader(url, UPKEEP, lock=UPKEEP_LOCK, name=f"{name}-upkeep", rotation=rotation),
    )
