"""What a judge said becomes a verdict: only one that was heard and is content is green."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml

from infra.errors import Exit, GadError
from infra.operate.judges import hearing, rules, table
from infra.operate.judges.hearing import Asked
from infra.operate.judges.rules import Rule, Waiver
from infra.operate.judges.verdict import Finding, Measured, Missing, Verdict, Word, is_green, judged

ROOT = Path(__file__).resolve().parents[3]
TODAY = date(2026, 11, 24)
WAIVER = Waiver(id="CERT.*", reason="it is renewed every half day by itself", expires=date(2027, 1, 1))
SCORE = Rule(why="for this test", min_checks=10, min_score=88)
FINDINGS = Rule(why="for this test", min_checks=10, max_findings=0, waivers=(WAIVER,))
VERSION = Rule(why="for this test", min_checks=10, max_findings=0, version="3.1.4")


def said(checks: int = 10, score: float | None = None, *findings: str, version: str = "") -> Measured:
    found = tuple(Finding(each, "is as it is") for each in findings)
    return Measured(checks=checks, findings=found, score=score, version=version)


@pytest.mark.parametrize(
    ("rule", "word", "outcome", "shown"),
    [
        pytest.param(SCORE, said(10, 88), "passed", "88", id="enough"),
        pytest.param(SCORE, said(10, 87), "failed", "87", id="too-little"),
        pytest.param(SCORE, said(10), "failed", "0 findings", id="no-score"),
        pytest.param(SCORE, said(9, 100), "not run", "100", id="did-not-look"),
        pytest.param(FINDINGS, said(), "passed", "0 findings", id="nothing-found"),
        pytest.param(FINDINGS, said(10, None, "TLS"), "failed", "1 findings", id="found"),
        pytest.param(FINDINGS, said(10, None, "CERT.1"), "passed", "0 findings (1 waived)", id="waived"),
        pytest.param(VERSION, said(version="3.1.4"), "passed", "0 findings", id="the-version"),
        pytest.param(VERSION, said(version="3.1.5"), "not run", "0 findings", id="another-version"),
        pytest.param(SCORE, Missing("there is no npm"), "not run", "not run", id="missing"),
    ],
)
def test_a_word_is_compared(rule: Rule, word: Word, outcome: str, shown: str) -> None:
    verdict = judged("lynis", rule, word)
    assert (verdict.outcome, verdict.said) == (outcome, shown)
    assert bool(verdict.reasons) is (outcome != "passed")


def of(outcome: str, judge: str = "lynis") -> Verdict:
    words: dict[str, Word] = {"passed": said(10, 90), "failed": said(10, 60), "not run": Missing("no npm")}
    return judged(judge, SCORE, words[outcome], stock=said(10, 64))


@pytest.mark.parametrize(
    ("outcomes", "allowed", "green"),
    [
        (["passed", "passed"], [], True),
        (["passed", "failed"], [], False),
        (["passed", "not run"], [], False),
        (["passed", "not run"], ["judge-1"], True),
        (["passed", "not run"], ["judge-0"], False),
        (["failed"], ["judge-0"], False),
        ([], [], False),
    ],
)
def test_only_what_was_heard_is_green(outcomes: list[str], allowed: list[str], green: bool) -> None:
    verdicts = [of(outcome, f"judge-{number}") for number, outcome in enumerate(outcomes)]
    assert is_green(verdicts, frozenset(allowed)) is green


def test_the_rules_are_whole_and_each_judge_has_a_place() -> None:
    known = rules.load(ROOT, today=TODAY)
    places = (*hearing.OF_SERVERS, *hearing.OF_DOORS, *hearing.OF_RECIPES)
    assert sorted(known) == sorted(places)
    # Host contract, section 8.
    assert {
        name: known[name].min_score for name in ("lynis", "observatory", "docker-bench", "debian-cis")
    } == {
        "lynis": 88,
        "observatory": 115,
        "docker-bench": 65,
        "debian-cis": 85,
    }
    assert [
        known[name].max_findings for name in ("ssh-audit", "sslyze", "testssl", "hadolint", "checkov")
    ] == [0] * 5


def test_an_expired_waiver_stops_everything(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / rules.FILE).write_text(
        yaml.safe_dump({"judges": {"testssl": FINDINGS.model_dump(mode="json")}})
    )
    assert list(rules.load(tmp_path, today=WAIVER.expires)) == ["testssl"]
    with pytest.raises(GadError, match=r"the waiver has expired of testssl CERT"):
        rules.load(tmp_path, today=date(2027, 1, 2))


@pytest.mark.parametrize(
    "rule", [{"why": "nothing is asked of it", "min_checks": 1}, {"why": "it need not look", "min_score": 1}]
)
def test_a_rule_that_demands_nothing_is_refused(tmp_path: Path, rule: dict[str, object]) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / rules.FILE).write_text(yaml.safe_dump({"judges": {"lynis": rule}}))
    with pytest.raises(GadError, match=r"config/judges\.yaml"):
        rules.load(tmp_path, today=TODAY)


def chosen(*only: str, **folders: Path) -> list[str]:
    given = {name.replace("_", "-"): folder for name, folder in folders.items()}
    return hearing.chosen(rules.load(ROOT, today=TODAY), Asked(None, only, given))


def test_judges_no_registry_has_are_asked_where_their_folder_is_given() -> None:
    usual = chosen()
    assert {"docker-bench", "debian-cis"} & set(usual) == set()
    assert set(chosen(docker_bench=ROOT)) - set(usual) == {"docker-bench"}
    assert chosen("sslyze", "lynis") == ["lynis", "sslyze"]  # in the order of the rules


@pytest.mark.parametrize(("name", "fact"), [("lyniss", "is no judge"), ("debian-cis", "no registry has")])
def test_a_judge_that_cannot_be_asked_is_a_mistake(name: str, fact: str) -> None:
    with pytest.raises(GadError, match=fact) as refused:
        chosen(name)
    assert refused.value.exit_code == Exit.USAGE


def test_the_table_takes_its_place_in_the_runbook() -> None:
    text = f"# Judges\n\n{table.BEGIN}\n| old |\n{table.END}\n\nMore.\n"
    once = table.written(text, [of("passed")])
    assert once == (
        f"# Judges\n\n{table.BEGIN}\n"
        "| Judge | Stock | Hardened | Threshold | Verdict |\n| --- | --- | --- | --- | --- |\n"
        f"| lynis | 64 | 90 | >= 88 | passed |\n{table.END}\n\nMore.\n"
    )
    assert table.written(once, [of("passed")]) == once
    with pytest.raises(GadError, match="has no place"):
        table.written("# Judges\n", [of("passed")])
