"""Rules about the repository itself: what no single test would notice."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Collected by something other than a plain `pytest`, which is named here.
RUN_ELSEWHERE = {"tests/host": "gad verify"}
# Raised as the house grows; far fewer means that a folder is no longer looked at.
LEAST_TESTS = 150
REFUSES_NOTHING = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}
INDEX_HOSTS = (
    *("pypi.org", "pythonhosted.org", "registry.npmjs.org", "proxy.golang.org", "deb.debian.org"),
    *("crates.io", "repo.maven.apache.org", "repo1.maven.org"),
)


def files_of_the_repository() -> list[Path]:
    """Tracked and not yet tracked, without what is ignored or just deleted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


FILES = files_of_the_repository()
TEST_SOURCES = [path for path in FILES if path.suffix == ".py" and path.is_relative_to(ROOT / "tests")]
PYTEST = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]


def relative(paths: Iterable[Path]) -> list[str]:
    """Sorted names from the root, which is what a person can click on."""
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def test_functions(tree: ast.AST) -> list[str]:
    """The names of the tests in a module."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [node.name for node in nodes if node.name.startswith("test_")]


test_functions.__test__ = False  # type: ignore[attr-defined]  # its name is about tests, it is none


def conditional_asserts(tree: ast.AST) -> list[int]:
    """Lines of asserts that only run if something else holds: green without having looked."""
    choices = (node for node in ast.walk(tree) if isinstance(node, ast.If | ast.Match))
    return sorted(
        {inner.lineno for node in choices for inner in ast.walk(node) if isinstance(inner, ast.Assert)}
    )


def text_of(path: Path) -> str:
    """Empty for what is not text."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def test_every_test_file_is_collected() -> None:
    places = [*PYTEST["testpaths"], *RUN_ELSEWHERE]
    tests = [path for path in TEST_SOURCES if test_functions(ast.parse(path.read_text()))]
    outside = [p for p in tests if not any(p.is_relative_to(ROOT / place) for place in places)]
    misnamed = [p for p in tests if not p.name.startswith("test_") and p != Path(__file__)]
    assert (relative(outside), relative(misnamed)) == ([], [])


def test_make_test_runs_what_pytest_collects() -> None:
    line = re.search(r"^TESTS\s*\?=\s*(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert line is not None
    assert line[1].split() == PYTEST["testpaths"]


def test_the_number_of_tests_has_a_floor() -> None:
    assert sum(len(test_functions(ast.parse(path.read_text()))) for path in TEST_SOURCES) >= LEAST_TESTS


def test_no_assert_depends_on_an_if() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in TEST_SOURCES
        if (lines := conditional_asserts(ast.parse(path.read_text())))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("def test_a():\n    if x:\n        assert x", [3]),
        ("def test_a():\n    if x:\n        pass\n    else:\n        with y:\n            assert x", [6]),
        ("def test_a():\n    match x:\n        case 1:\n            assert x", [4]),
        ("def test_a():\n    assert (1 if x else 2) == 1", []),
    ],
)
def test_conditional_asserts_are_found(code: str, lines: list[int]) -> None:
    assert conditional_asserts(ast.parse(code)) == lines


def test_no_path_of_one_machine() -> None:
    # Root's home is also that of containers, where it may be named.
    paths = {f"{ROOT}/", f"{Path.home()}/", "/home/runner/"} - {"/root/"}
    found = {
        f"{path.relative_to(ROOT)}: {place}"
        for path in FILES
        for place in paths
        if path != Path(__file__) and place in text_of(path)
    }
    assert found == set()


def test_locks_and_documents_name_no_package_index() -> None:
    locks = [path for path in FILES if re.search(r"(^|[.-])lock(\.|$)|\.sum$", path.name)]
    scope = [
        *locks,
        *(path for path in FILES if path.is_relative_to(ROOT / "requirements") or path.suffix == ".md"),
    ]
    found = {
        f"{path.relative_to(ROOT)}: {host}" for path in scope for host in INDEX_HOSTS if host in text_of(path)
    }
    assert found == set()


@pytest.mark.parametrize("name", ["app", "infra", "dev"])
def test_requirements_are_locked_by_hash(name: str) -> None:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ").splitlines()
    pins = [line for line in lines if line.strip() and not line.startswith("#")]
    unpinned = [
        pin for pin in pins if not re.match(r"[A-Za-z0-9_.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", pin)
    ]
    assert len(pins) > 10
    assert unpinned == []


def test_main_modules_only_begin() -> None:
    mains = [path for path in FILES if path.name == "__main__.py" and not path.is_relative_to(ROOT / "tests")]
    assert relative(path for path in mains if len(path.read_text().splitlines()) > 20) == []
    assert ROOT / "infra" / "__main__.py" in mains


def test_no_file_that_can_refuse_nothing() -> None:
    assert relative(p for p in FILES if {p.stem.lower(), p.parent.name.lower()} & REFUSES_NOTHING) == []


def test_make_targets_stay_short() -> None:
    rules = re.split(r"^(?=[a-z]+:)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)[1:]
    long = {rule.split(":")[0]: n for rule in rules if (n := len(re.findall(r"^\t", rule, re.MULTILINE))) > 3}
    assert long == {}
    assert len(rules) >= 12


def test_one_pulumi_everywhere() -> None:
    """The engine from an archive, the engine from Go and the SDK must be of one version."""
    release = json.loads((ROOT / "config" / "engine" / "release.json").read_text())["version"]
    module = (ROOT / "config" / "engine" / "go.mod").read_text()
    locks = [(ROOT / "requirements" / f"{name}.txt").read_text() for name in ("infra", "dev")]
    assert re.findall(r"^require github\.com/pulumi/pulumi/pkg/v3 v(\S+)$", module, re.MULTILINE) == [release]
    assert re.findall(r"^pulumi==(\S+) ", "\n".join(locks), re.MULTILINE) == [release, release]
