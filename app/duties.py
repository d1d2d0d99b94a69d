"""What one process of the stack does for all of them (app/leader.py); each noun's work, listed here.

Events have a leader of their own, so that no slow duty delays them.
"""

from __future__ import annotations

from app import outbox
from app.audit import sealer
from app.auth import expiry
from app.events import CHANNEL
from app.leader import Duty, Leader
from app.rotation import Rotation
from app.stats import service as stats
from app.stream import Stream

EVENTS_LOCK = 0x6761645F6576  # any numbers, the same for ever
UPKEEP_LOCK = 0x6761645F7570
PUBLISH_REST_S = 0.01  # chosen: a tenth of the time an event may take; 100 rounds a second are the most

UPKEEP: tuple[Duty, ...] = (
    Duty(name="seal", every_s=sealer.EVERY_S, run=sealer.seal),
    Duty(name="task metrics", every_s=stats.REFRESH_S, run=stats.refresh),
    Duty(name="expiry", every_s=expiry.EVERY_S, run=expiry.expire),
    Duty(name="outbox rows", every_s=600, run=outbox.delete_published),
)


def leaders(url: str, *, stream: Stream, name: str, rotation: Rotation) -> tuple[Leader, ...]:
    """Who does them; each runs for ever in every process, and leads in one."""
    publisher = outbox.Publisher(stream)
    events = (Duty(name="outbox", every_s=1, run=publisher.publish, channel=CHANNEL, rest_s=PUBLISH_REST_S),)
    return (
        Leader(url, events, lock=EVENTS_LOCK, name=f"{name}-events", rotation=rotation),
        Leader(url, UPKEEP, lock=UPKEEP_LOCK, name=f"{name}-upkeep", rotation=rotation),
    )
