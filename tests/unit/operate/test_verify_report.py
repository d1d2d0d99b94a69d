"""A JUnit report becomes checks, checks become a verdict, and nothing checked is never green."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from infra.operate import verify_table
from infra.operate.verify import Check, Outcome, Report, parse_junit

JUNIT = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" tests="4" time="3.0">
<testcase classname="test_tls" name="test_chain" time="0.250"><properties>
  <property name="subject" value="tls"/><property name="check" value="The chain is trusted"/>
  <property name="remedy" value="`gad up` saves it anew"/></properties></testcase>
<testcase classname="test_container" name="test_memory[redis]" time="0.010"><properties>
  <property name="subject" value="redis"/><property name="check" value="Memory is limited"/>
  <property name="remedy" value="`gad up --refresh`"/></properties>
  <failure message="assert 64 == 128">assert 64 == 128
  At index 0 diff</failure></testcase>
<testcase classname="test_container" name="test_cpu[redis]" time="0.001"><properties>
  <property name="subject" value="redis"/><property name="check" value="CPU is limited"/>
  <property name="remedy" value="`gad up`"/></properties>
  <error message="failed on setup">not checked: redis does not exist</error></testcase>
<testcase classname="test_http" name="test_zstd" time="0.000"><properties>
  <property name="subject" value="http"/><property name="check" value="zstd"/></properties>
  <skipped type="pytest.skip" message="no client">no client</skipped></testcase>
</testsuite></testsuites>"""


def check(subject: str, name: str, outcome: Outcome = "passed", detail: str = "") -> Check:
    return Check(
        subject=subject, check=name, outcome=outcome, detail=detail, remedy=f"mend {name}", seconds=0.2
    )


def report(*checks: Check) -> Report:
    return Report(stack="dev", seconds=4.2, checks=checks)


def shown(made: Report, *, every_check: bool = False) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, color_system=None)
    console.print(verify_table.render(made, every_check=every_check))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_every_outcome_is_read() -> None:
    assert [(c.subject, c.check, c.outcome, c.detail, c.seconds) for c in parse_junit(JUNIT)] == [
        ("tls", "The chain is trusted", "passed", "", 0.25),
        ("redis", "Memory is limited", "failed", "assert 64 == 128\n  At index 0 diff", 0.01),
        ("redis", "CPU is limited", "error", "redis does not exist", 0.001),
        ("http", "zstd", "skipped", "no client", 0.0),
    ]


def test_a_report_without_checks_has_none() -> None:
    assert parse_junit(b'<testsuites><testsuite name="pytest" tests="0"/></testsuites>') == ()


@pytest.mark.parametrize(
    ("checks", "as_declared"),
    [
        ((), False),
        ((check("tls", "a"),), True),
        ((check("tls", "a"), check("tls", "b", "failed")), False),
        ((check("tls", "a"), check("tls", "b", "error")), False),
        ((check("tls", "a"), check("tls", "b", "skipped")), False),
    ],
)
def test_only_checks_that_all_passed_are_a_proof(checks: tuple[Check, ...], as_declared: bool) -> None:
    assert report(*checks).is_as_declared is as_declared


@pytest.mark.parametrize(
    ("checks", "line"),
    [
        ((), "not verified: no check of stack dev was made"),
        ((check("tls", "a"),), "as declared: all 1 checks of stack dev passed in 4.2 s"),
        (
            (check("tls", "a"), check("tls", "b", "failed")),
            "not as declared: 1 of 2 checks of stack dev failed",
        ),
    ],
)
def test_verdict(checks: tuple[Check, ...], line: str) -> None:
    assert verify_table.verdict(report(*checks)) == line


def test_failures_come_first_with_their_remedy() -> None:
    made = report(check("http", "live"), check("redis", "memory", "failed", "assert 64 == 128"))
    assert shown(made) == (
        "failed redis  memory\n"
        "  assert 64 == 128\n"
        "remedy: mend memory\n"
        "\n"
        "subject  passed  seconds\n"
        "http        1/1      0.2\n"
        "redis       0/1      0.2"
    )


def test_what_one_cause_prevented_is_told_once_and_first() -> None:
    gone = "container gad-dev-redis does not exist"
    prevented = [check(subject, name, "error", gone) for subject in ("redis", "ports") for name in ("a", "b")]
    made = report(check("http", "ready", "failed", "assert 503 == 200"), *prevented)
    assert shown(made).splitlines()[:5] == [
        f"not checked {gone}",
        "  4 checks of ports, redis could not be made",
        "remedy: bring it up with `gad up dev`, and verify again",
        "",
        "failed http  ready",
    ]


def test_a_long_detail_is_cut() -> None:
    made = report(check("redis", "env", "failed", "\n".join("abcdefgh")))
    assert shown(made).splitlines()[1:8] == ["  a", "  b", "  c", "  d", "  e", "  f", "  …"]


def test_every_check_can_be_listed() -> None:
    made = report(check("tls", "chain"), check("tls", "name"))
    assert shown(made, every_check=True) == (
        "subject  passed  seconds  check\n"
        "tls         2/2      0.4\n"
        "         passed      0.2  chain\n"
        "         passed      0.2  name"
    )
