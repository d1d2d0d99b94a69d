"""What a change of inputs means, by the table."""

from __future__ import annotations

import pytest

from infra.toolchain.plugin import (
    UNKNOWN,
    Change,
    Diff,
    Kind,
    Properties,
    Value,
    boolean,
    check_properties,
    diff_properties,
    integer,
    listing,
    mapping,
    obj,
    setting,
    string,
)

TABLE = {
    "command": listing(string(), replaces=True, computed=True, unread=True),
    "envs": setting(string(), replaces=True, computed=True),
    "health": obj({"interval": string(), "retries": integer(default=0)}, computed=True),
    "labels": setting(obj({"label": string(required=True), "value": string()}), replaces=True),
    "memory": integer(),
    "name": string(required=True, replaces=True),
    "options": mapping(string()),
    "gone": string(refused="nobody needs it"),
    "network": string(default="bridge", replaces=True),
    "seen": listing(string(), output=True, unread=True),
    "wait": boolean(zero=False),
}
READ: Properties = {"command": [], "seen": []}


def diff(state: Properties, news: Properties, olds: Properties | None = None) -> Diff:
    return diff_properties(
        TABLE,
        Change(old_inputs=state if olds is None else olds, state={**READ, **state}, new_inputs=news),
    )


def kinds(found: Diff) -> dict[str, str]:
    return {
        path: kind.value + ("-replace" if path in found.replaces else "")
        for path, kind in found.paths.items()
    }


@pytest.mark.parametrize(
    ("state", "news", "expected"),
    [
        ({"memory": 0}, {"memory": 64}, {"memory": "update"}),
        ({}, {"memory": 64}, {"memory": "add"}),
        ({"memory": 64}, {}, {"memory": "delete"}),
        ({"memory": 0}, {}, {}),
        ({}, {"memory": 0}, {}),
        ({"command": ["a", "b"]}, {"command": ["a", "c"]}, {"command[1]": "update-replace"}),
        ({"command": ["a"]}, {"command": ["a", "c"]}, {"command[1]": "add-replace"}),
        ({"command": ["a", "b"]}, {"command": ["a"]}, {"command[1]": "delete-replace"}),
        ({"command": ["a"]}, {"command": []}, {"command": "delete-replace"}),
        ({"command": ["a"]}, {}, {}),
        ({"envs": []}, {"envs": ["A=1"]}, {"envs": "add-replace"}),
        ({"envs": ["A=1", "B=2"]}, {"envs": ["B=2", "A=1"]}, {}),
        ({"envs": ["A=1", "B=2"]}, {"envs": ["A=3", "B=2"]}, {"envs[0]": "update-replace"}),
        ({"envs": ["A=1"]}, {"envs": ["B=2", "A=1"]}, {"envs[0]": "add-replace"}),
        ({"envs": ["A=1"]}, {"envs": [UNKNOWN]}, {"envs[0]": "update-replace"}),
        (
            {"labels": [{"label": "a", "value": "1"}]},
            {"labels": [{"label": "a", "value": "2", "__defaults": []}]},
            {"labels[0].value": "update-replace"},
        ),
        ({"health": {"interval": "5s"}}, {"health": {"interval": "9s"}}, {"health.interval": "update"}),
        ({"options": {"max-size": "1"}}, {"options": {"max-size": "2"}}, {'options["max-size"]': "update"}),
        ({"options": {"a": "1", "b": "2"}}, {"options": {"a": "1"}}, {"options.b": "delete"}),
        ({"wait": True}, {}, {"wait": "update"}),
        ({}, {"wait": True}, {"wait": "add"}),
        ({"wait": False}, {"wait": True}, {"wait": "update"}),
        ({}, {}, {}),
        ({"name": "a"}, {"name": UNKNOWN}, {"name": "update-replace"}),
    ],
)
def test_the_paths_that_differ(state: Properties, news: Properties, expected: dict[str, str]) -> None:
    assert kinds(diff(state, news)) == expected


def test_a_computed_collection_that_nobody_wrote_differs_as_a_whole() -> None:
    assert kinds(diff({"envs": ["A=1"]}, {"envs": ["B=2"]}, olds={})) == {"envs": "update-replace"}


def test_a_state_that_was_never_read_says_what_will_be_known() -> None:
    found = diff_properties(TABLE, Change(old_inputs={}, state={"memory": 1}, new_inputs={"memory": 1}))
    assert kinds(found) == {"command": "add-replace", "seen": "add"}


def test_keys_are_top_level_and_sorted() -> None:
    found = diff({"envs": ["A=1"], "memory": 1}, {"memory": 2, "envs": ["A=2"], "command": ["x"]})
    assert found.keys == ("command", "envs", "memory")
    assert found.replace_keys == ("command", "envs")
    assert found.paths["command"] is Kind.ADD


@pytest.mark.parametrize(
    ("ignored", "left"),
    [
        (["envs"], {"memory": "update"}),
        (["envs[1]"], {"envs[0]": "update-replace", "memory": "update"}),
        (["env", "mem"], {"envs[0]": "update-replace", "memory": "update"}),
        (["*"], {}),
    ],
)
def test_ignored_paths_do_not_differ(ignored: list[str], left: dict[str, str]) -> None:
    found = diff({"envs": ["A=1"], "memory": 1}, {"envs": ["A=2"], "memory": 2})
    assert kinds(found.ignoring(ignored)) == left


def test_defaults_are_filled_in_and_named() -> None:
    checked = check_properties(TABLE, {"name": "a", "health": {"interval": "1s"}}, of="Thing")
    assert checked.problems == ()
    assert checked.inputs == {
        "name": "a",
        "network": "bridge",
        "health": {"interval": "1s", "retries": 0, "__defaults": ["retries"]},
        "__defaults": ["network"],
    }


def test_a_missing_input_is_named() -> None:
    (problem,) = check_properties(TABLE, {}, of="Thing").problems
    assert problem.reason == "name of Thing is missing"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("memroy", 1, "memroy of Thing is unknown, did you mean memory?"),
        ("gone", "x", "gone of Thing is not supported by the offline provider: nobody needs it"),
        ("memory", "much", "memory of Thing must be a whole number, not a string"),
        ("memory", 1.5, "memory of Thing must be a whole number, not a number"),
        ("command", "a b", "command of Thing must be a list, not a string"),
        ("wait", "maybe", "wait of Thing must be a boolean, not a string"),
        ("labels", [{"value": "x"}], "labels[0].label of Thing is missing"),
    ],
)
def test_a_wrong_input_is_refused_by_its_path(key: str, value: Value, reason: str) -> None:
    checked = check_properties(TABLE, {"name": "a", key: value}, of="Thing")
    assert [problem.reason for problem in checked.problems] == [reason]


@pytest.mark.parametrize(
    ("key", "value", "settled"),
    [("memory", "64", 64), ("name", 7, "7"), ("wait", "true", True), ("name", UNKNOWN, UNKNOWN)],
)
def test_a_value_written_as_another_type_is_settled(key: str, value: Value, settled: Value) -> None:
    checked = check_properties(TABLE, {"name": "a", key: value}, of="Thing")
    assert (checked.problems, checked.inputs[key]) == ((), settled)


@pytest.mark.parametrize("value", [False, "", [], {}])
def test_a_refused_input_may_be_empty(value: Value) -> None:
    assert check_properties(TABLE, {"name": "a", "gone": value}, of="Thing").problems == ()
