"""The controls file: what is wrong is named by control and key, and a value is asked for by its type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from infra.errors import Exit, GadError
from infra.host.controls import FILE, Values, load, parse

CONTROL = """
controls:
  - id: ssh.port
    value: 22
    why: a door has a number
"""
WAIVED = """
    refs: [SB sshd-07]
    waiver: {reason: the judge and we disagree, expires: 2026-11-30}
"""


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (CONTROL.replace("22", "1.5"), "ssh.port.value: "),
        (CONTROL + "    wy: misspelt\n", "ssh.port.wy: Extra inputs are not permitted"),
        (CONTROL.replace("    why: a door has a number\n", ""), "ssh.port.why: Field required"),
        (CONTROL + "    refs: [CIS 5.2]\n", "ssh.port.refs: String should match pattern"),
        (CONTROL + "    applies_to: [debian-12]\n", "ssh.port.applies_to: Input should be 'debian-13'"),
        (CONTROL + WAIVED.replace("    refs: [SB sshd-07]\n", ""), "waiver without refs"),
        (CONTROL + CONTROL.replace("controls:\n", "").lstrip("\n"), "ssh.port occurs twice"),
        (CONTROL.replace("id: ssh.port", "name: ssh.port"), "controls[0].id: Field required"),
        ("controls: {", "is no YAML"),
    ],
)
def test_what_is_wrong_is_named(text: str, fact: str) -> None:
    with pytest.raises(GadError) as caught:
        parse(text)
    assert caught.value.fact.startswith("config/controls.yaml: ")
    assert fact in caught.value.fact
    assert caught.value.exit_code == Exit.USAGE


@pytest.mark.parametrize(("day", "expired"), [(30, []), (31, ["ssh.port"])])
def test_a_waiver_runs_out_after_its_last_day(day: int, expired: list[str]) -> None:
    controls = parse((CONTROL + WAIVED).replace("2026-11-30", "2026-10-30"))
    assert [each.id for each in controls.expired(date(2026, 10, day))] == expired


def test_an_expired_waiver_stops_the_load(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(CONTROL + WAIVED)
    assert load(tmp_path, today=date(2026, 11, 30)).ids == ("ssh.port",)
    with pytest.raises(GadError, match=r"the waiver has expired of ssh\.port \(2026-11-30\)"):
        load(tmp_path, today=date(2026, 12, 1))


VALUES = Values.model_validate(
    {"a.flag": True, "a.number": 3, "a.text": "x", "a.items": ["x", "y"], "b.table": {"k": 1}}
)


def test_values_keep_their_types() -> None:
    assert Values.model_validate_json(VALUES.model_dump_json()) == VALUES
    assert VALUES.flag("a.flag") is True
    assert VALUES.number("a.number") == 3
    assert VALUES.text("a.text") == "x"
    assert VALUES.items("a.items") == ("x", "y")
    assert VALUES.table("b.table") == {"k": 1}


@pytest.mark.parametrize(
    ("ask", "control"),
    [
        (Values.flag, "a.number"),
        (Values.number, "a.flag"),  # true is 1 for Python only
        (Values.text, "a.number"),
        (Values.items, "a.text"),
        (Values.table, "a.items"),
        (Values.value, "a.txt"),
    ],
)
def test_another_type_is_refused(ask: Callable[[Values, str], object], control: str) -> None:
    with pytest.raises(GadError, match=f"^{control} is "):
        ask(VALUES, control)


def test_a_step_sees_what_it_serves() -> None:
    assert list(VALUES.only(["a.*"]).root) == ["a.flag", "a.number", "a.text", "a.items"]
    with pytest.raises(GadError, match=r"b\.table is no control here"):
        VALUES.only(["a.flag"]).value("b.table")
    with pytest.raises(GadError, match=r"a step serves c\.\*, which is no control"):
        VALUES.only(["c.*"])


def test_a_control_holds_where_it_applies() -> None:
    controls = parse(CONTROL + "    applies_to: [ubuntu-24.04]\n")
    assert controls.values_for("debian-13").root == {}
    assert controls.values_for("ubuntu-24.04").root == {"ssh.port": 22}
