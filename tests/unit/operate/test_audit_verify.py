"""What a verification of the audit trail runs, and what becomes of its ends."""

from __future__ import annotations

import pytest

from infra.errors import Exit, GadError
from infra.operate.audit import command, verdict


def test_it_runs_in_the_live_slot() -> None:
    words = ["docker", "exec", "gad-dev-api-blue", "python", "-m", "app.audit", "verify"]
    assert command("gad-dev-api-blue", None) == words
    assert command("gad-dev-api-blue", "7:ab") == [*words, "--anchor", "7:ab"]


@pytest.mark.parametrize(("status", "code"), [(0, Exit.OK), (3, Exit.DIFFERENT)])
def test_its_words_and_its_code_are_the_applications(status: int, code: Exit) -> None:
    assert verdict("dev", status, "head 1:00\nsaid\n", "") == ("head 1:00\nsaid", code)


@pytest.mark.parametrize(
    ("status", "said", "wanted"),
    [
        (
            1,
            "error: PostgreSQL does not answer\nremedy: start it",
            ("PostgreSQL does not answer", "start it", 1),
        ),
        (
            2,
            "usage: …\npython -m app.audit verify: error: argument --anchor: write it as SEQ:HASH",
            ("argument --anchor: write it as SEQ:HASH", "look at `gad status dev`", 2),
        ),
        (
            1,
            "Error response from daemon: No such container: x",
            ("Error response from daemon: No such container: x", "look at `gad status dev`", 1),
        ),
        (0, "", ("no reason given", "look at `gad status dev`", 1)),
    ],
    ids=["away", "usage", "engine", "silence"],
)
def test_a_failure_is_told_in_two_lines(status: int, said: str, wanted: tuple[str, str, int]) -> None:
    with pytest.raises(GadError) as refused:
        verdict("dev", status, "", said)
    assert (refused.value.fact, refused.value.remedy, refused.value.exit_code) == wanted
