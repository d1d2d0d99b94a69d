"""plan_release: a release fills the idle slot and turns to it; the live one is never touched."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.release import SLOTS, Attempt, Recorded, Slot, idle_of, plan_release

slots = st.builds(
    Slot,
    image=st.sampled_from([f"app@sha256:{digit * 64}" for digit in "012"]),
    envs=st.sampled_from([(), (("GAD_ENV", "dev"),), (("GAD_ENV", "dev"), ("GAD_TZ", "UTC"))]),
    secrets_dir=st.sampled_from(["/s/1", "/s/2"]),
    memory_mib=st.sampled_from([256, 512]),
    cpus=st.sampled_from(["0.5", "1.0"]),
    pids=st.sampled_from([64, 128]),
    form=st.integers(1, 3),
)
NOW = Attempt(id="now", by="ana@desk")
ids = st.sampled_from(["", "1", "2"])
records = st.builds(
    Recorded,
    live=st.sampled_from(SLOTS),
    blue=slots,
    green=slots,
    attempt=st.builds(Attempt, id=ids, by=st.just("a@h")),
    blue_attempt=ids,
    green_attempt=ids,
    schema_image=st.sampled_from(["", "app@sha256:0"]),
)
maybe = st.none() | records

# No deadline: how fast a busy machine is says nothing about a plan.
bounded = settings(deadline=None, max_examples=50, database=None)


@bounded
@given(slots)
def test_the_first_release_fills_both_slots(desired: Slot) -> None:
    plan = plan_release(desired, None, NOW)
    assert (plan.action, plan.live, plan.blue, plan.green) == ("first", "blue", desired, desired)


@bounded
@given(slots, maybe)
def test_the_desired_version_ends_live(desired: Slot, recorded: Recorded | None) -> None:
    plan = plan_release(desired, recorded, NOW)
    assert plan.slot(plan.live) == desired


@bounded
@given(slots, records)
def test_the_live_slot_is_never_replaced(desired: Slot, recorded: Recorded) -> None:
    plan = plan_release(desired, recorded, NOW)
    assert plan.slot(recorded.live) == recorded.slot(recorded.live)


@bounded
@given(slots, records)
def test_the_old_version_stays_warm(desired: Slot, recorded: Recorded) -> None:
    plan = plan_release(desired, recorded, NOW)
    assert recorded.slot(recorded.live) in (plan.blue, plan.green)


@bounded
@given(slots, maybe)
def test_a_second_run_has_nothing_to_do(desired: Slot, recorded: Recorded | None) -> None:
    plan = plan_release(desired, recorded, NOW)
    again = plan_release(desired, plan.recorded, Attempt(id="later", by="b@h"))
    assert again.action == "none"
    assert again.recorded == plan.recorded


@bounded
@given(slots, records)
def test_the_rotation_turns_exactly_when_there_is_something_to_turn_to(
    desired: Slot, recorded: Recorded
) -> None:
    plan = plan_release(desired, recorded, NOW)
    turned = plan.live != recorded.live
    assert turned is (desired != recorded.slot(recorded.live))
    assert turned is (plan.action in ("flip", "release"))


@bounded
@given(slots, records)
def test_a_slot_is_replaced_exactly_on_a_release(desired: Slot, recorded: Recorded) -> None:
    plan = plan_release(desired, recorded, NOW)
    replaced = [name for name in SLOTS if plan.slot(name) != recorded.slot(name)]
    assert replaced == [idle_of(recorded.live)] * (plan.action == "release")


@bounded
@given(slots, records)
def test_the_way_back_is_a_flip_that_replaces_nothing(desired: Slot, recorded: Recorded) -> None:
    forward = plan_release(desired, recorded, NOW)
    back = plan_release(recorded.slot(recorded.live), forward.recorded, NOW)
    assert back.action == ("none" if forward.action == "none" else "flip")
    assert back.live == recorded.live
    assert (back.blue, back.green) == (forward.blue, forward.green)


@bounded
@given(slots, slots)
def test_a_revision_names_a_slot(one: Slot, other: Slot) -> None:
    assert (one.revision == other.revision) is (one == other)


@bounded
@given(records)
def test_a_record_survives_the_state(recorded: Recorded) -> None:
    assert Recorded.model_validate_json(recorded.model_dump_json()) == recorded


def test_a_record_with_a_key_of_another_version_is_refused() -> None:
    with pytest.raises(ValidationError):
        Recorded.model_validate({"live": "blue", "blue": {}, "green": {}, "red": {}})


@bounded
@given(slots, records)
def test_a_try_is_new_exactly_when_there_is_something_to_do(desired: Slot, recorded: Recorded) -> None:
    plan = plan_release(desired, recorded, NOW)
    assert (plan.attempt == NOW) is (plan.action != "none")
    assert plan.attempt in (NOW, recorded.attempt)


@bounded
@given(slots, records)
def test_only_a_slot_that_is_filled_gets_the_new_attempt(desired: Slot, recorded: Recorded) -> None:
    plan = plan_release(desired, recorded, NOW)
    new = [name for name in SLOTS if plan.attempt_of(name) != recorded.attempt_of(name)]
    assert new == [idle_of(recorded.live)] * (plan.action == "release")


@bounded
@given(slots, records)
def test_a_way_back_leaves_the_schema(desired: Slot, recorded: Recorded) -> None:
    plan = plan_release(desired, recorded, NOW)
    is_new = plan.action == "release" and desired.image not in (recorded.blue.image, recorded.green.image)
    expected = desired.image if is_new else recorded.schema_image
    assert plan.schema_image == expected


@pytest.mark.parametrize("by", ["a b", "a;b", "a\nb", '"'])
def test_who_tried_is_nothing_that_a_shell_would_read(by: str) -> None:
    with pytest.raises(ValidationError):
        Attempt(id="1", by=by)
