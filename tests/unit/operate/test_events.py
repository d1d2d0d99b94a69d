"""The first true cause of a failed update, out of what the engine says."""

from __future__ import annotations

import json

import pytest

from infra.operate.events import Diagnostic, failure_of

SCRIPT = json.dumps('set -eu\nfail "$1"\n')
URN = "urn:pulumi:dev::grupo-gad::command:local:Command::migration-lint"


@pytest.mark.parametrize(
    ("printed", "fact", "remedy"),
    [
        (
            "0008 -> 0009, line 3: DROP a\nerror: a is refused\nremedy: do not\nerror: later\n",
            "migration-lint: a is refused",
            "do not",
        ),
        ("cp: no space left\n", "migration-lint: exit status 4; cp: no space left", None),
    ],
    ids=["a-sentence-of-ours", "anything-else"],
)
def test_a_script_that_failed_says_why_first(printed: str, fact: str, remedy: str | None) -> None:
    told = Diagnostic(message=f"exit status 4: running {SCRIPT}:\n{printed}", severity="error", urn=URN)
    failure = failure_of("up", "dev", [told], ".gad/logs/up-dev.log")
    assert failure.fact == fact
    assert failure.remedy == (remedy or "correct it and run again; all of it is in .gad/logs/up-dev.log")
