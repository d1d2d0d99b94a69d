"""Who may hear of what: the topics of the product contract, section 6, as one table.

`system` and a person's own `user.<uuid>` come by themselves; the others are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from app.auth.tokens import Principal
from app.user.models import Level

SYSTEM = "system"
_SHARED = {
    "tasks": Level.SUPERVISOR,
    "officers": Level.SUPERVISOR,
    "emergencies": Level.SUPERVISOR,
    "alerts": Level.SUPERVISOR,
    SYSTEM: Level.OFFICER,
}
_OWN_BELOW = {"task": Level.SUPERVISOR, "officer": Level.SUPERVISOR}

# After these somebody may own a task or be an officer no more: whoever hears of it as its owner is asked for
# again, before they hear of the event.
MAY_END_OWNERSHIP = frozenset(
    {"task.unassigned", "task.updated", "task.status", "task.deleted", "officer.deleted"}
)


def automatic(principal: Principal) -> tuple[str, str]:
    """What everybody hears without asking."""
    return SYSTEM, f"user.{principal.user}"


def one_of(topic: str) -> tuple[str, UUID] | None:
    """The noun and the uuid of a topic about one thing; None if it is none, or not in its one spelling."""
    noun, _, text = topic.partition(".")
    try:
        uuid = UUID(text)
    except ValueError:
        return None
    return (noun, uuid) if str(uuid) == text else None


@dataclass(frozen=True)
class Verdict:
    """What a level says of some topics: yes, no, or only if the thing is the person's own."""

    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    own_tasks: dict[UUID, str] = field(default_factory=dict)
    own_officers: dict[UUID, str] = field(default_factory=dict)


def judge(principal: Principal, topics: Iterable[str]) -> Verdict:
    """Each topic has one place in the verdict; an unknown one is denied like a forbidden one."""
    allowed: list[str] = []
    denied: list[str] = []
    own: dict[str, dict[UUID, str]] = {"task": {}, "officer": {}}
    for topic in dict.fromkeys(topics):
        if (least := _SHARED.get(topic)) is not None:
            (allowed if principal.level >= least else denied).append(topic)
        elif (single := one_of(topic)) is None:
            denied.append(topic)
        elif single == ("user", principal.user):
            allowed.append(topic)
        elif (below := _OWN_BELOW.get(single[0])) is None:
            denied.append(topic)
        elif principal.level >= below:
            allowed.append(topic)
        else:
            own[single[0]][single[1]] = topic
    return Verdict(tuple(allowed), tuple(denied), own["task"], own["officer"])


def hangs_on_ownership(principal: Principal, topic: str) -> bool:
    """Whether this person hears of the topic only as long as the thing is their own."""
    below = _OWN_BELOW.get(topic.partition(".")[0]) if "." in topic else None
    return below is not None and principal.level < below
