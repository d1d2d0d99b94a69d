"""The engine's property maps and ours."""

from __future__ import annotations

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from infra.toolchain.plugin import UNKNOWN, Archive, Asset
from infra.toolchain.plugin.properties import (
    SECRET,
    SIGNATURE_KEY,
    UNKNOWN_SENTINEL,
    Properties,
    from_struct,
    to_struct,
)

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer()),
    st.text().filter(lambda text: text != UNKNOWN_SENTINEL),
    st.just(UNKNOWN),
    st.builds(Asset, text=st.text(), hash=st.none()),
)
KEYS = st.text(min_size=1).filter(lambda key: key != SIGNATURE_KEY)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_what_is_encoded_is_decoded(values: Properties) -> None:
    assert from_struct(to_struct(values)).values == values


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_a_secret_stays_one(values: Properties) -> None:
    key = next(iter(values))
    decoded = from_struct(to_struct(values, {(key,)}))
    assert (decoded.values, decoded.secrets) == (values, frozenset({(key,)}))


def test_a_secret_inside_a_list_is_marked_in_its_place() -> None:
    struct = to_struct({"envs": ["A=1", "B=2"]}, {("envs", 1)})
    first, second = struct.fields["envs"].list_value.values
    assert first.string_value == "A=1"
    assert second.struct_value.fields[SIGNATURE_KEY].string_value == SECRET
    assert second.struct_value.fields["value"].string_value == "B=2"


@pytest.mark.parametrize("path", [("envs", 7), ("envs", "x"), ("envs", 0, "deep")])
def test_a_secret_whose_place_is_gone_marks_the_whole_property(path: tuple[str | int, ...]) -> None:
    assert from_struct(to_struct({"envs": ["A=1"]}, {path})).secrets == {("envs",)}


def test_a_secret_of_a_property_that_is_gone_marks_nothing() -> None:
    assert from_struct(to_struct({"user": "1"}, {("envs", 0)})).secrets == frozenset()


def test_a_secret_that_is_not_known_yet() -> None:
    decoded = from_struct(to_struct({"a": UNKNOWN}, {("a",)}))
    assert decoded.values == {"a": UNKNOWN}
    assert decoded.secrets == {("a",)}


def test_whole_numbers_are_integers_and_nulls_are_missing() -> None:
    struct = struct_pb2.Struct()
    struct.update({"whole": 3.0, "part": 0.5, "nothing": None, "inside": {"nothing": None, "x": 1}})
    assert from_struct(struct).values == {"whole": 3, "part": 0.5, "inside": {"x": 1}}


def test_an_archive_keeps_its_members() -> None:
    archive = Archive(assets={"a.txt": Asset(text=""), "b": Archive(path="/b", hash="h")})
    assert from_struct(to_struct({"source": archive})).values == {"source": archive}
