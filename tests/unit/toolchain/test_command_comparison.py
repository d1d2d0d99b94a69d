from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.toolchain.command.comparison import compare_inputs
from infra.toolchain.plugin import UNKNOWN, Archive, Asset, Kind, Properties, Value

# Flat: a recursive strategy takes seconds to draw from on a busy machine.
SCALARS = st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a", "b"])
VALUES: st.SearchStrategy[Value] = (
    SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from("abc"), SCALARS)
)
PROPERTIES = st.dictionaries(st.sampled_from(["create", "triggers", "environment"]), VALUES)


def paths(
    old: Properties, new: Properties, secrets: frozenset[tuple[str | int, ...]] = frozenset()
) -> dict[str, str]:
    diff = compare_inputs(old, new, secrets=secrets, replaces={"triggers"})
    return {
        path: kind.value + ("-replace" if path in diff.replaces else "") for path, kind in diff.paths.items()
    }


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"create": "a"}, {"create": "b"}, {"create": "update"}),
        ({}, {"update": "b"}, {"update": "add"}),
        ({"delete": "a"}, {}, {"delete": "delete"}),
        ({"triggers": ["1"]}, {"triggers": ["2"]}, {"triggers[0]": "update-replace"}),
        ({"triggers": [1]}, {"triggers": [True]}, {"triggers[0]": "update-replace"}),
        ({}, {"triggers": ["2"]}, {"triggers": "add-replace"}),
        ({"triggers": ["1", "2"]}, {"triggers": ["1"]}, {"triggers[1]": "delete-replace"}),
        ({"environment": {"A": "1"}}, {"environment": {"A": "2", "b-c": "3"}}, {
            "environment.A": "update", 'environment["b-c"]': "add",
        }),
        ({"stdin": "x"}, {"stdin": UNKNOWN}, {"stdin": "update"}),
        ({"version": "1", "__defaults": []}, {"version": "2"}, {}),
        ({"source": Asset(path="a", hash="1")}, {"source": Asset(text="x", hash="1")}, {}),
        ({"source": Asset(path="a", hash="1")}, {"source": Asset(path="a", hash="2")}, {"source": "update"}),
        ({"source": Asset(path="a")}, {"source": Archive(path="a")}, {"source": "update"}),
    ],
)  # fmt: skip
def test_compare_inputs(old: Properties, new: Properties, expected: dict[str, str]) -> None:
    assert paths(old, new) == expected


def test_a_secret_differs_as_a_whole() -> None:
    old: Properties = {"connection": {"host": "a", "port": 22}}
    new: Properties = {"connection": {"host": "a", "port": 23}}
    assert paths(old, new, frozenset({("connection",)})) == {"connection": "update"}
    assert paths(old, new) == {"connection.port": "update"}


@given(PROPERTIES)
def test_nothing_differs_from_itself(values: Properties) -> None:
    assert compare_inputs(values, values, secrets=frozenset(), replaces=frozenset()).paths == {}


@given(
    st.dictionaries(st.text("abc", min_size=1), VALUES), st.dictionaries(st.text("abc", min_size=1), VALUES)
)
def test_every_difference_has_its_mirror(old: Properties, new: Properties) -> None:
    mirror = {Kind.ADD: Kind.DELETE, Kind.DELETE: Kind.ADD, Kind.UPDATE: Kind.UPDATE}
    there = compare_inputs(old, new, secrets=frozenset(), replaces=frozenset()).paths
    back = compare_inputs(new, old, secrets=frozenset(), replaces=frozenset()).paths
    assert {path: mirror[kind] for path, kind in there.items()} == dict(back)
