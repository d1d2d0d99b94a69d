from __future__ import annotations

import pytest

from infra.toolchain.command.capture import Capture, Mask
from infra.toolchain.command.model import Logging


def capture(logging: Logging = Logging.BOTH, *secrets: str) -> tuple[Capture, list[str]]:
    shown: list[str] = []
    return Capture(shown.append, logging, Mask(secrets)), shown


@pytest.mark.parametrize(
    ("logging", "expected"),
    [
        (Logging.BOTH, ["one", "two", "rest"]),
        (Logging.STDOUT, ["one", "rest"]),
        (Logging.STDERR, ["two"]),
        (Logging.NONE, []),
    ],
)
def test_lines_are_shown_as_they_end(logging: Logging, expected: list[str]) -> None:
    run, shown = capture(logging)
    run.feed("stdout", b"on")
    run.feed("stdout", b"e\nre")
    run.feed("stderr", b"two\n")
    run.feed("stdout", b"st")
    run.close()
    assert shown == expected


def test_outputs_lose_one_line_break_and_never_fail_to_decode() -> None:
    run, _ = capture()
    run.feed("stdout", b"a\n\n")
    run.feed("stderr", b"\xff")
    assert run.outputs() == {"stdout": "a\n", "stderr": "\ufffd"}


def test_a_failure_holds_the_command_and_both_outputs_in_order() -> None:
    run, _ = capture()
    run.feed("stderr", b"to-err\n")
    run.feed("stdout", b"to-out\n")
    assert run.failure("exit status 3", 'echo "x"').fact == (
        'exit status 3: running "echo \\"x\\"":\nto-err\nto-out'
    )


def test_secrets_appear_neither_in_the_failure_nor_on_the_screen() -> None:
    run, shown = capture(Logging.BOTH, "hunter2", "line-one\nline-two\n")
    run.feed("stdout", b"pw hunter2\nline-two\n")
    assert shown == ["pw [secret]", "[secret]"]
    assert run.failure("exit status 1", "echo hunter2").fact == (
        'exit status 1: running "echo [secret]":\npw [secret]\n[secret]'
    )


def test_mask_takes_the_longest_secret_first_and_leaves_short_words() -> None:
    assert Mask(["hunter2-long", "hunter2", "x", "\n"])("hunter2-long x\n") == "[secret] x\n"


def test_what_a_secret_command_printed_is_withheld() -> None:
    run, _ = capture(Logging.NONE, "psql -W hunter2")
    run.feed("stderr", b"no such user: hunter2\n")
    fact = run.failure("exit status 1", "psql -W hunter2", withheld=True).fact
    assert fact.startswith('exit status 1: running "[secret]":')
    assert "hunter2" not in fact
