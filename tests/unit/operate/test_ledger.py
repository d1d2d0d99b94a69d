"""The ledger of releases: what its lines come to, and what a crash may leave of the last one."""

from __future__ import annotations

import json

import pytest

from infra.errors import GadError
from infra.operate.ledger import parse, releases

FIRST = {
    "at": "2026-11-24T10:00:00Z",
    "attempt": "a1",
    "by": "ana@desk",
    "event": "begun",
    "slot": "blue",
    "image": "app@sha256:" + "1" * 64,
    "why": "",
}


def lines(*entries: dict[str, str]) -> str:
    return "".join(json.dumps({**FIRST, **entry}) + "\n" for entry in entries)


def test_an_attempt_is_what_its_last_line_says() -> None:
    text = lines(
        {},
        {"event": "live", "at": "2026-11-24T10:00:09Z", "why": "schema 8"},
        {"attempt": "a2", "at": "2026-11-24T11:00:00Z", "slot": "green"},
        {"attempt": "a2", "at": "2026-11-24T11:00:20Z", "event": "back", "why": "3 checks failed"},
        {"attempt": "a3", "at": "2026-11-24T12:00:00Z", "slot": "green"},
        {"attempt": "", "at": "2026-11-24T13:00:00Z", "event": "back", "why": "asked for"},
    )
    found = [(each.attempt, each.outcome, each.seconds, each.why) for each in releases(parse(text))]
    assert found == [
        ("", "asked back", None, "asked for"),
        ("a3", "cut off", None, ""),
        ("a2", "taken back", 20, "3 checks failed"),
        ("a1", "released", 9, "schema 8"),
    ]


def test_nothing_was_released_yet() -> None:
    assert releases(parse("")) == ()


def test_a_last_line_that_a_crash_cut_off_is_passed_over() -> None:
    assert len(parse(lines({}) + '{"at": "2026-')) == 1


@pytest.mark.parametrize("damage", ["{}\n", "not json\n"])
def test_a_damaged_line_is_named(damage: str) -> None:
    with pytest.raises(GadError, match=r"^line 2 of the ledger of releases is not readable"):
        parse(lines({}) + damage + lines({}))
