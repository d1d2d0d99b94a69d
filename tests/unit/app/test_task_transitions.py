"""The table of a task's life, and what each step does to its moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Code
from app.officer.models import Availability
from app.policy import API, L2, OWN_OR_L2, RULES
from app.task.codes import AUTOMATIC, automatic_code
from app.task.models import ACTIVE, ENGAGING, Priority, Status
from app.task.period import planned_period
from app.task.transitions import (
    TABLE,
    Action,
    Crew,
    Moments,
    Move,
    after,
    availability_after,
    decide,
    not_before,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)

# Product contract, section 7, row by row; everything else is 409.
CONTRACT = {
    (Status.PROGRAMMED, Action.START): Status.IN_PROGRESS,
    (Status.IN_PROGRESS, Action.PAUSE): Status.PAUSED,
    (Status.PAUSED, Action.RESUME): Status.IN_PROGRESS,
    (Status.IN_PROGRESS, Action.FINISH): Status.FINISHED,
    (Status.PAUSED, Action.FINISH): Status.FINISHED,
    **{(status, Action.CANCEL): Status.CANCELLED for status in ACTIVE},
}


@pytest.mark.parametrize(("status", "action"), [*product(Status, Action)])
def test_each_pair_is_the_contracts(status: Status, action: Action) -> None:
    decision = decide(status, action, officers=1)
    wanted = CONTRACT.get((status, action), Code.WRONG_STATUS)
    assert (decision.to if isinstance(decision, Move) else decision) == wanted


def test_only_a_start_needs_officers() -> None:
    refused = [key for key in TABLE if decide(*key, officers=0) is Code.NO_OFFICERS]
    assert refused == [(Status.PROGRAMMED, Action.START)]


@pytest.mark.parametrize("action", Action)
def test_who_may_act_stands_in_the_policy(action: Action) -> None:
    rule = RULES["POST", f"{API}/tasks/{{task_id}}/{action}"]
    assert rule == (L2 if action is Action.CANCEL else OWN_OR_L2)


@pytest.mark.parametrize(("status", "action"), TABLE)
def test_officers_are_at_a_task_exactly_while_it_is_under_way(status: Status, action: Action) -> None:
    move = TABLE[status, action]
    was, will_be = status in ENGAGING, move.to in ENGAGING
    wanted = {(False, True): Availability.ON_TASK, (True, False): Availability.AVAILABLE}.get((was, will_be))
    assert availability_after(status, move) == wanted
    assert (move.crew is Crew.RELEASED) == (move.to not in ACTIVE)


@given(st.lists(st.tuples(st.sampled_from(Action), st.integers(-5, 3600)), max_size=12))
def test_moments_stay_possible_whatever_happens(steps: list[tuple[Action, int]]) -> None:
    """Clocks of replicas may run back; what the table's constraints demand holds all the same."""
    status, moments, now, paused = Status.PROGRAMMED, Moments(), T0, timedelta()
    for action, seconds in steps:
        move = decide(status, action, officers=1)
        now += timedelta(seconds=seconds)
        moved = isinstance(move, Move)
        at = not_before(moments, now)
        held = at - moments.paused_at if moments.paused_at is not None else timedelta()
        moments = after(moments, move, at) if isinstance(move, Move) else moments
        status = move.to if isinstance(move, Move) else status
        paused += held if moved else timedelta()

        assert (moments.paused_at is not None) == (status is Status.PAUSED)
        assert moments.paused_total == paused
        assert moments.paused_total >= timedelta()
        assert (moments.actual_end is not None) == (status is Status.FINISHED)
        times = [moments.actual_start, moments.actual_end]
        known = [each for each in times if each is not None]
        assert known == sorted(known)
        assert status not in {*ENGAGING, Status.FINISHED} or moments.actual_start is not None


def test_a_finish_ends_the_pause() -> None:
    paused = Moments(actual_start=T0, paused_at=T0 + timedelta(minutes=5), paused_total=timedelta(minutes=1))
    at = T0 + timedelta(minutes=9)
    assert after(paused, TABLE[Status.PAUSED, Action.FINISH], at) == Moments(
        actual_start=T0, actual_end=at, paused_total=timedelta(minutes=5)
    )


@pytest.mark.parametrize(
    ("priority", "hours"),
    [
        (Priority.LOW, 4),
        (Priority.MEDIUM, 3.5),
        (Priority.HIGH, 3),
        (Priority.URGENT, 2.5),
        (Priority.CRITICAL, 2),
    ],
)
def test_a_window_without_an_end(priority: Priority, hours: float) -> None:
    assert planned_period(T0, None, priority) == (T0, T0 + timedelta(hours=hours))
    assert planned_period(T0, T0 + timedelta(minutes=1), priority) == (T0, T0 + timedelta(minutes=1))


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)), st.integers(1, 99_999)
)
def test_automatic_codes_fit_and_carry_the_local_day(at: datetime, number: int) -> None:
    code = automatic_code("TSK", at, number, ZoneInfo("America/Guayaquil"))
    assert AUTOMATIC.fullmatch(code)
    assert len(code) <= 20
    assert code[4:12] == f"{at - timedelta(hours=5):%Y%m%d}"
    assert int(code[13:]) == number
