"""Nothing is declared that nobody sets or proves, and nothing is set or proven that is not declared."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from infra.host.controls import load
from infra.host.step import STEPS
from infra.operate.controls_table import table
from tests.host.server import topics
from tests.host.server.facts import COMMANDS
from tests.host.server.proof import JUDGES, judge_of
from tests.unit.host.baselines import LINUX, SSH

ROOT = Path(__file__).resolve().parents[3]
CONTROLS = load(ROOT, today=datetime.now(UTC).date())
TOPICS = sorted((ROOT / "infra" / "host").glob("*/steps.py"))
# Where controls are proven on a server.
PROOFS = sorted([*(ROOT / "tests" / "engine" / "lab").glob("test_*.py")])


def steps() -> dict[str, tuple[str, ...]]:
    """Each step of the topics and what it serves."""
    for path in TOPICS:
        importlib.import_module(f"infra.host.{path.parent.name}.steps")
    return {name: step.serves for name, step in STEPS.items() if name.startswith("infra.host.")}


def marked(path: Path) -> Iterator[str]:
    """The ids in every `control(…)` of a test file, or `topic.*` where each control of it is a case."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "control":
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def test_the_baselines_are_whole() -> None:
    assert (len(LINUX), len(SSH)) == (59, 71)


def test_every_demand_of_the_baselines_belongs_to_a_control() -> None:
    met = {ref for control in CONTROLS.controls for ref in control.refs if ref[:2] in ("LB", "SB")}
    assert sorted((LINUX | SSH) - met) == []
    assert sorted(met - (LINUX | SSH)) == []


def test_every_control_has_a_step() -> None:
    served = [pattern for serves in steps().values() for pattern in serves]
    assert [id for id in CONTROLS.ids if not any(fnmatchcase(id, each) for each in served)] == []


def test_every_step_serves_controls() -> None:
    empty = [
        (name, pattern)
        for name, serves in steps().items()
        for pattern in serves or ("",)
        if not any(fnmatchcase(id, pattern) for id in CONTROLS.ids)
    ]
    assert empty == []


def test_the_deploy_takes_every_step() -> None:
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / "infra" / "host" / "deploy.py").read_text()))
        if isinstance(node, ast.Call)
    ]
    taken = {ast.unparse(call.func) for call in calls}
    wanted = {".".join([name.split(".")[2], name.split(".")[4]]) for name in steps()}
    assert sorted(wanted - taken) == []
    assert len(wanted) >= 4


def test_every_control_is_proven() -> None:
    proven = {id for path in PROOFS for id in marked(path)}
    assert [id for id in CONTROLS.ids if not any(fnmatchcase(id, each) for each in proven)] == []


def test_every_proof_is_of_a_control() -> None:
    unknown = [
        (path.name, mark)
        for path in PROOFS
        for mark in marked(path)
        if not any(fnmatchcase(id, mark) for id in CONTROLS.ids)
    ]
    assert unknown == []


def test_every_control_has_a_check_on_a_server() -> None:
    """In the suite of `gad host verify`; a topic has its own module there, or a place in a neighbour's."""
    assert [id for id in CONTROLS.ids if judge_of(id) is None] == []


def test_every_check_on_a_server_is_of_a_control() -> None:
    assert [each for each in JUDGES if not any(judge_of(id) is JUDGES[each] for id in CONTROLS.ids)] == []
    assert [each for each in JUDGES if not any(fnmatchcase(id, each) for id in CONTROLS.ids)] == []


def test_every_module_of_checks_is_a_topic() -> None:
    folder = ROOT / "tests" / "host" / "server"
    beside = {"__init__", "facts", "proof", "test_controls", "topics"}
    found = {path.stem for path in folder.glob("*.py")} - beside
    assert found == {module.__name__.rpartition(".")[2] for module in topics.TOPICS}
    assert len(COMMANDS) >= 50


def test_the_documents_table_is_of_these_controls() -> None:
    """`gad host controls > docs/controls.md` makes it anew."""
    page = (ROOT / "docs" / "controls.md").read_text()
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert rows == list(CONTROLS.ids)
    assert page == table(CONTROLS)


def test_marks_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        '@pytest.mark.control("a.b")\n@control("a.c", "a.d")\ndef f(): ...\n'
        'p = pytest.param(1, marks=pytest.mark.control("a.e"))\nother("a.f")\n'
    )
    assert sorted(marked(tmp_path / "a.py")) == ["a.b", "a.c", "a.d", "a.e"]
