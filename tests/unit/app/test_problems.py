from __future__ import annotations

import re
from pathlib import Path

import pytest

import app
from app.errors import Code
from app.i18n import TEXTS, text
from app.officer.models import Availability
from app.user.models import Level

SOURCES = [path.read_text() for path in Path(app.__file__).parent.rglob("*.py")]


@pytest.mark.parametrize("code", list(Code))
def test_each_code_has_a_title_and_a_detail_and_is_used(code: Code) -> None:
    assert text(f"problem.{code}.title")
    assert text(f"problem.{code}.detail").endswith(".")
    assert any(f"Code.{code.name}" in source for source in SOURCES)


def test_each_text_of_a_problem_has_a_code() -> None:
    named = {key.split(".")[1] for key in TEXTS if key.startswith("problem.")}
    assert named == {code.value for code in Code}


def test_each_rule_of_our_own_has_its_text() -> None:
    kinds = {kind for source in SOURCES for kind in re.findall(r'refuse\("(\w+)"\)', source)}
    assert kinds == {
        "area",
        "box",
        "control_character",
        "end_before_start",
        "in_the_future",
        "one_audience",
        "one_of_user_or_person",
        "out_of_time",
        "password_personal",
        "password_weak",
        "repeated",
        "reserved_code",
        "search_too_short",
        "shift_length",
        "title_length",
    }
    assert [kind for kind in kinds if f"invalid.{kind}" not in TEXTS] == []


def test_each_value_of_a_set_has_its_label() -> None:
    assert {key for key in TEXTS if key.startswith("label.availability.")} == {
        f"label.availability.{each.value}" for each in Availability
    }
    assert {key for key in TEXTS if key.startswith("label.level.")} == {
        f"label.level.{each.value}" for each in Level
    }
