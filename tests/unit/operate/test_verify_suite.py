"""The suite of tests/host itself: every check says what to do, none hides its assertion."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HOST = Path(__file__).resolve().parents[2] / "host"
FILES = sorted(HOST.rglob("test_*.py"))
LEAST_CHECKS = 85  # functions; each runs for every container, network, volume or port it is about


def checks(file: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]


def test_the_suite_has_not_shrunk() -> None:
    assert sum(len(checks(file)) for file in FILES) >= LEAST_CHECKS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_check_states_itself_and_a_remedy(file: Path) -> None:
    documented = {check.name: ast.get_docstring(check) or "" for check in checks(file)}
    assert documented != {}
    assert [name for name, text in documented.items() if "\n\nRemedy: " not in text] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_assertion_is_conditional_or_skipped(file: Path) -> None:
    hiding = (ast.If, ast.Try, ast.For, ast.While, ast.IfExp)
    hidden = [
        f"{check.name}:{node.lineno}"
        for check in checks(file)
        for outer in ast.walk(check)
        if isinstance(outer, hiding)
        for node in ast.walk(outer)
        if isinstance(node, ast.Assert)
    ]
    text = file.read_text(encoding="utf-8")
    assert hidden == []
    assert [word for word in ("pytest.skip", "mark.skip", "importorskip", "xfail") if word in text] == []
