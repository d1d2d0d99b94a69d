"""What differs is named once, by what people call it, with what to do; what may be a secret is not shown."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import Exit, GadError
from infra.host.controls import load
from infra.host.plan import HostPlan
from infra.operate import drift
from infra.operate.drift_checks import ASPECTS, ELSEWHERE, of_checks
from infra.operate.drift_preview import differences
from infra.operate.drift_report import Difference, Source, merge, not_compared
from infra.operate.drift_survey import judge
from infra.operate.verify import Check, Outcome, Report

ROOT = Path(__file__).resolve().parents[3]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB=="
VALUES = load(ROOT, today=datetime.now(UTC).date()).values_for("debian-13")
PLAN = HostPlan(
    os="debian-13", deploy_user="deploy", deploy_keys=(KEY,), ssh_port=22, open_ports=(), values=VALUES
)
CONTAINER = "docker:index/container:Container"


def difference(subject: str, aspect: str, source: Source, found: str = "otherwise") -> Difference:
    return Difference(
        subject=subject, aspect=aspect, found_by=(source,), expected="as declared", found=found, remedy="up"
    )


def test_what_two_sources_see_is_one_difference_in_the_words_that_say_more() -> None:
    vague = difference("redis", "memory", "checks")
    exact = difference("redis", "memory", "preview", "300")
    other = difference("proxy", "ports", "checks")
    for order in ([vague, exact, other], [other, exact, vague]):
        proxy, redis = merge(order)
        assert (proxy.subject, redis.subject) == ("proxy", "redis")
        assert (redis.found, redis.found_by) == ("300", ("checks", "preview"))
        assert redis.line == "redis  memory: 300; expected: as declared  (checks, preview)"


def step(type_: str, name: str, op: str = "update", **more: object) -> dict[str, object]:
    return {"op": op, "urn": f"urn:pulumi:s::p::{type_}::{name}", "newState": {"type": type_}, **more}


def seen(*steps: dict[str, object]) -> list[tuple[str, str, str, str]]:
    found = differences(json.dumps({"steps": steps, "diagnostics": []}), "dev")
    return [(each.subject, each.aspect, each.expected, each.found) for each in found]


def test_a_preview_is_read_by_what_people_call_things() -> None:
    replaced = step(
        CONTAINER,
        "redis-server",
        "replace",
        oldState={"type": CONTAINER, "outputs": {"memory": 300, "envs": ["REDIS_PASSWORD=canary"]}},
        newState={"type": CONTAINER, "inputs": {"memory": 256, "envs": ["REDIS_PASSWORD=other"]}},
        diffReasons=["memory", "envs[0]"],
    )
    assert seen(replaced, step("gad:redis:Redis", "redis"), step(CONTAINER, "proxy-server", "same")) == [
        ("redis", "environment", "as declared", "otherwise"),
        ("redis", "memory", "256", "300"),
    ]


def test_what_follows_from_a_container_made_again_is_no_difference() -> None:
    gone = step(CONTAINER, "postgres-server", "create")
    command = "command:local:Command"
    after = {"type": command, "dependencies": [gone["urn"]]}
    assert seen(gone, step(command, "postgres-pids", "replace", newState=after)) == [
        ("postgres", "container", "as the last update made it", "gone, or made again by hand")
    ]


def test_a_volume_is_never_said_to_be_replaced() -> None:
    volume = "docker:index/volume:Volume"
    printed = json.dumps({"steps": [step(volume, "redis-data", "replace", diffReasons=["labels"])]})
    (found,) = differences(printed, "dev")
    assert (found.subject, found.aspect) == ("volume redis", "labels")
    assert "never replaced" in found.remedy


def test_another_form_of_the_report_is_said() -> None:
    with pytest.raises(GadError, match="another form"):
        differences('{"stepz": []}', "dev")


def check(name: str, outcome: Outcome, detail: str = "") -> Check:
    return Check(subject="redis", check=name, outcome=outcome, detail=detail, remedy="gad up", seconds=0.1)


def test_checks_that_failed_are_differences_and_one_cause_is_one() -> None:
    memory = "Memory is limited as declared, with no swap on top"
    report = Report(
        stack="dev",
        seconds=1.0,
        checks=(
            check("anything", "passed"),
            check(memory, "failed", "assert 300 == 256\nmore"),
            *(check(f"{n}", "error", "container gad-dev-redis does not exist") for n in range(3)),
        ),
    )
    assert [(each.subject, each.aspect, each.expected, each.found) for each in of_checks(report)] == [
        ("redis", "memory", "256", "300"),
        ("redis", "container", "as the last update made it", "does not exist"),
    ]


def test_no_check_is_no_proof() -> None:
    (found,) = of_checks(Report(stack="dev", seconds=0.0, checks=()))
    assert (found.subject, found.aspect) == ("not compared", "no check was made")


def test_every_check_with_a_name_of_its_own_is_one_of_the_suite() -> None:
    docstrings = {
        " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split()).rstrip(".")
        for path in (ROOT / "tests" / "host").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert {*ASPECTS, *ELSEWHERE} - docstrings == set()


CLEAN = f"""account root 0 /bin/bash
account deploy 1000 /bin/bash
account www-data 33 /usr/sbin/nologin
group sudo deploy
group shadow
file /etc/cron.d/e2scrub_all
shipped /etc/cron.d/e2scrub_all
file /etc/sudoers.d/deploy
key {KEY} comment
end
"""


def test_a_server_as_declared_has_no_difference() -> None:
    assert judge(CLEAN, PLAN, KEY, "staging") == ()


@pytest.mark.parametrize(
    ("line", "aspect", "found"),
    [
        ("account guest 1001 /bin/bash", "account guest", "uid 1001, shell /bin/bash"),
        ("account toor 0 /usr/sbin/nologin", "account toor", "uid 0"),
        ("group docker deploy,guest", "group docker", "guest"),
        ("file /etc/cron.d/by hand", "job /etc/cron.d/by hand", "of no package"),
        ("file /etc/sudoers.d/x", "sudo rule /etc/sudoers.d/x", "of no package"),
        ("changed /etc/cron.d/e2scrub_all", "job /etc/cron.d/e2scrub_all", "changed"),
        (f"key {KEY[:-2]}C=", "host key", "another"),
    ],
)
def test_what_nobody_declared_is_named(line: str, aspect: str, found: str) -> None:
    (difference,) = judge(f"{line}\n{CLEAN}", PLAN, KEY, "staging")
    assert (difference.aspect, difference.found) == (aspect, found)


def test_a_server_without_its_key_is_named() -> None:
    (difference,) = judge(CLEAN.replace("key ", "no "), PLAN, KEY, "staging")
    assert (difference.aspect, difference.found) == ("host key", "none")


def test_a_source_that_cannot_be_asked_is_a_line_and_wrong_usage_an_error() -> None:
    def away() -> tuple[Difference, ...]:
        raise GadError("no server", remedy="start it")

    def wrong() -> tuple[Difference, ...]:
        raise GadError("no stack file", remedy="write it", exit_code=Exit.USAGE)

    said = drift.report(
        "dev", {"checks": away, "preview": lambda: (difference("redis", "memory", "preview"),)}
    )
    assert [each.subject for each in said.differences] == ["not compared", "redis"]
    assert said.differences[0] == not_compared("checks", "no server", "start it")
    assert not said.is_clean
    with pytest.raises(GadError, match="no stack file"):
        drift.report("dev", {"checks": wrong})
