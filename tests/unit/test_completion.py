"""Completion as a bash does it: its script is loaded, a line is typed, Tab is pressed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from infra.cli.checkout import stack_names

ROOT = Path(__file__).resolve().parents[2]
# What bash does on Tab: find the function that `complete` registered, set the words, call it.
PRESS_TAB = r"""
set -eu
source <(_GAD_COMPLETE=source_bash gad)
registered=$(complete -p gad)
[[ $registered =~ -F\ ([^ ]+) ]] && function=${BASH_REMATCH[1]}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


def tab(*words: str, program: str = "gad") -> set[str]:
    """What bash offers after these words, the last of which is being typed."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("COMP_", "_GAD", "_TYPER"))
    }
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", PRESS_TAB, "bash", program, *words],
        env={**kept, "PATH": f"{ROOT / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def test_tab_after_gad_offers_every_command() -> None:
    listed = re.findall(r"^\| `gad ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert tab("") == set(listed)


@pytest.mark.parametrize("command", ["up", "down", "clean", "verify", "status", "env", "demo", "bench"])
def test_tab_after_a_command_offers_the_stacks(command: str) -> None:
    assert tab(command, "") == set(stack_names())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("st",), {"status"}),
        (("up", "pro"), {"production"}),
        (("up", "nothing-like-it"), set()),
        (("secrets", "init", "sta"), {"staging"}),
        (("images", ""), {"build", "push", "list", "lock"}),
        (("images", "build", "ca"), {"caddy"}),
        (("images", "lock", "--stack", "d"), {"dev"}),
        (("clean", "dev", "--or"), {"--orphans"}),
    ],
)
def test_tab_goes_on_with_what_was_begun(words: tuple[str, ...], offered: set[str]) -> None:
    assert tab(*words) == offered


def test_tab_works_on_the_path_of_gad_as_well() -> None:
    assert tab("up", "d", program="bin/gad") == {"dev"}
