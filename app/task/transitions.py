"""A task's life as one table: which action leads where, and what it does to moments and officers.

Product contract, section 7. Who may act is app/policy.py's: own or level 2; level 2 to cancel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.errors import Code
from app.officer.models import Availability
from app.task.models import ENGAGING, Status
from app.task.record import Kind


class Action(StrEnum):
    """What can be done with a task; the last part of the route."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    CANCEL = "cancel"


class Crew(StrEnum):
    """What becomes of the assigned officers."""

    ENGAGED = "engaged"  # from now on they are at it
    KEPT = "kept"
    RELEASED = "released"


@dataclass(frozen=True)
class Move:
    """One way from a status to another."""

    to: Status
    kind: Kind
    crew: Crew
    needs_officers: bool = False


_FINISH = Move(Status.FINISHED, Kind.FINISHED, Crew.RELEASED)
_CANCEL = Move(Status.CANCELLED, Kind.CANCELLED, Crew.RELEASED)

TABLE: Mapping[tuple[Status, Action], Move] = {
    (Status.PROGRAMMED, Action.START): Move(
        Status.IN_PROGRESS, Kind.STARTED, Crew.ENGAGED, needs_officers=True
    ),
    (Status.IN_PROGRESS, Action.PAUSE): Move(Status.PAUSED, Kind.PAUSED, Crew.KEPT),
    (Status.PAUSED, Action.RESUME): Move(Status.IN_PROGRESS, Kind.RESUMED, Crew.KEPT),
    (Status.IN_PROGRESS, Action.FINISH): _FINISH,
    (Status.PAUSED, Action.FINISH): _FINISH,
    (Status.PROGRAMMED, Action.CANCEL): _CANCEL,
    (Status.IN_PROGRESS, Action.CANCEL): _CANCEL,
    (Status.PAUSED, Action.CANCEL): _CANCEL,
}


@dataclass(frozen=True, kw_only=True)
class Moments:
    """When a task was begun, held up and ended (UTC); `paused_total` of the pauses that are over."""

    actual_start: datetime | None = None
    actual_end: datetime | None = None
    paused_at: datetime | None = None
    paused_total: timedelta = timedelta()


def decide(status: Status, action: Action, *, officers: int) -> Move | Code:
    """The move, or why there is none. "None engaged elsewhere" is for the database: it alone sees a race."""
    move = TABLE.get((status, action))
    if move is None:
        return Code.WRONG_STATUS
    if move.needs_officers and officers == 0:
        return Code.NO_OFFICERS
    return move


def not_before(moments: Moments, at: datetime) -> datetime:
    """`at`, unless a replica whose clock is ahead has already written a later moment: then that one."""
    return max(known for known in (at, moments.actual_start, moments.paused_at) if known is not None)


def after(moments: Moments, move: Move, at: datetime) -> Moments:
    """The moments once `move` was made at `at`, which is not before any of them."""
    if moments.paused_at is not None:
        pause = at - moments.paused_at
        moments = replace(moments, paused_at=None, paused_total=moments.paused_total + pause)
    match move.kind:
        case Kind.STARTED:
            return replace(moments, actual_start=at)
        case Kind.PAUSED:
            return replace(moments, paused_at=at)
        case Kind.FINISHED:
            return replace(moments, actual_end=at)
        case _:
            return moments


def availability_after(status: Status, move: Move) -> Availability | None:
    """What the officers are from now on; None: as before."""
    if move.crew is Crew.ENGAGED:
        return Availability.ON_TASK
    # A programmed task's officers may be at another one: its end says nothing about them.
    if move.crew is Crew.RELEASED and status in ENGAGING:
        return Availability.AVAILABLE
    return None
