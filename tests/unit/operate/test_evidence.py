"""Evidence: each control once, in the order of the file, with what was found; unseen is not proven."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import Exit, GadError
from infra.host.controls import FILE, Values, parse
from infra.host.plan import HostPlan
from infra.operate.evidence import (
    CheckRecord,
    ControlRecord,
    Evidence,
    Result,
    Target,
    evidence,
    markdown,
    write,
)
from infra.operate.verify import Check, Look, Outcome, Report, ServerUnderTest
from infra.ssh import SshAccess

CONTROLS = """
controls:
  - {id: b.second, value: 2, why: comes first in the file}
  - id: a.first
    value: 1
    why: comes second in the file
    refs: [LB os-01]
    waiver: {reason: the judge and we disagree, expires: 2026-11-30}
  - {id: c.elsewhere, value: 3, why: holds on another system, applies_to: [ubuntu-24.04]}
"""
NOW = datetime(2026, 11, 30, 12, 30, 15, 987, tzinfo=UTC)
SERVER = ServerUnderTest(
    access=SshAccess(
        address="192.0.2.7",
        port=2222,
        user="deploy",
        host_key="ssh-ed25519 AAAA",
        private_key_file=None,
    ),
    plan=HostPlan(
        os="debian-13",
        deploy_user="deploy",
        deploy_keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUR",),
        ssh_port=22,
        open_ports=(),
        values=Values({"b.second": 2, "a.first": 1}),
    ),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one commit of a few controls."""
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(CONTROLS)
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def check(
    control: str | None,
    outcome: Outcome = "passed",
    *,
    lab: bool = False,
    looked: bool = True,
    subject: str = "server",
) -> Check:
    look = Look(source="value", lab=lab, expected={"it": 1}, found={"it": 1})
    return Check(
        subject=subject if control else "redis",
        check=f"{control}: why",
        outcome=outcome,
        detail="" if outcome == "passed" else "it: 2, wanted is 1",
        remedy="mend it",
        seconds=0.1,
        control=control,
        look=look if looked and control else None,
    )


def report(*checks: Check) -> Report:
    return Report(stack="staging", seconds=1.5, checks=checks)


def made_of(root: Path, *checks: Check) -> Evidence:
    return evidence(root, report(*checks), [SERVER], now=NOW)


def results(made: Evidence) -> dict[str, Result]:
    return {each.id: each.result for each in made.controls}


def test_controls_stand_in_the_order_of_their_file(root: Path) -> None:
    made = made_of(root, check("a.first"), check("b.second"))
    assert list(results(made).items()) == [("b.second", "pass"), ("a.first", "waived")]
    assert made.results == {"pass": 1, "fail": 0, "waived": 1, "not run": 0}
    assert made.controls[1].waiver == parse(CONTROLS).control("a.first").waiver
    assert made.controls[1].refs == ("LB os-01",)


@pytest.mark.parametrize(
    ("checks", "wanted"),
    [
        ((check("a.first", "failed"), check("b.second", "failed")), ("fail", "fail")),  # waived is no excuse
        ((check("a.first"),), ("not run", "waived")),
        ((check("a.first", "error"), check("b.second", "error", looked=False)), ("not run", "not run")),
        ((check("a.first", "skipped"), check("b.second", "skipped")), ("not run", "not run")),
        (
            (check("a.first"), check("b.second"), check("b.second")),
            ("not run", "waived"),
        ),  # which one counts?
        ((), ("not run", "not run")),
    ],
)
def test_results(root: Path, checks: tuple[Check, ...], wanted: tuple[Result, Result]) -> None:
    assert tuple(results(made_of(root, *checks)).values()) == wanted


@pytest.mark.parametrize(
    ("checks", "kind"),
    [
        ((check("a.first", lab=True),), "lab"),
        ((check("a.first"),), "server"),
        ((check("a.first", "error", looked=False),), "unknown"),
    ],
)
def test_the_target_is_named(root: Path, checks: tuple[Check, ...], kind: str) -> None:
    (target,) = made_of(root, *checks).targets
    assert (target.kind, target.address, target.port, target.os) == (kind, "192.0.2.7", 2222, "debian-13")
    assert target.server == "server"


def test_each_server_of_a_stack_has_its_own_records(root: Path) -> None:
    data = SERVER.model_copy(update={"role": "data"})
    checks = [
        check("a.first"),
        check("b.second"),
        check("a.first", subject="data server", lab=True),
        check("b.second", "failed", subject="data server", lab=True),
    ]
    made = evidence(root, report(*checks), [SERVER, data], now=NOW)
    assert [(each.server, each.id, each.result) for each in made.controls] == [
        ("server", "b.second", "pass"),
        ("server", "a.first", "waived"),
        ("data server", "b.second", "fail"),
        ("data server", "a.first", "waived"),
    ]
    assert [(each.server, each.kind) for each in made.targets] == [
        ("server", "server"),
        ("data server", "lab"),
    ]


def test_a_local_stack_has_checks_and_no_controls(root: Path) -> None:
    made = evidence(root, report(check(None), check(None, "failed")), [], now=NOW)
    assert (made.stack, made.targets, made.controls) == ("staging", (), ())
    assert [each.result for each in made.checks] == ["pass", "fail"]


def test_the_commit_and_what_differs_from_it(root: Path) -> None:
    head = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert (made_of(root).commit, made_of(root).dirty) == (head, False)
    (root / "other").write_text("x")
    assert (made_of(root).commit, made_of(root).dirty) == (head, True)


def test_a_folder_without_git_has_no_commit(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(CONTROLS)
    assert (made_of(tmp_path).commit, made_of(tmp_path).dirty) == (None, False)


def test_an_expired_waiver_is_no_evidence(root: Path) -> None:
    with pytest.raises(GadError, match=r"the waiver has expired of a\.first"):
        evidence(root, report(), [SERVER], now=datetime(2026, 12, 1, tzinfo=UTC))


def test_the_same_findings_are_the_same_bytes(root: Path) -> None:
    checks = (check("a.first"), check("b.second", "failed"), check(None))
    first, second = made_of(root, *checks), made_of(root, *checks)
    assert first.model_dump_json() == second.model_dump_json()
    assert first.time.isoformat() == "2026-11-30T12:30:15+00:00"


@pytest.mark.parametrize("key", ["unknown", "seconds"])
def test_a_file_with_another_form_is_refused(root: Path, key: str) -> None:
    known = made_of(root).model_dump(mode="json")
    assert Evidence.model_validate(known) == made_of(root)
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        Evidence.model_validate({**known, key: 1})


def test_every_key_is_documented() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "runbook" / "server.md").read_text()
    models = (Evidence, ControlRecord, CheckRecord, Target)
    keys = [key for model in models for key in model.model_fields]
    assert len(keys) > 20
    assert [key for key in keys if f"`{key}`" not in page] == []


def test_people_get_a_table(root: Path) -> None:
    made = made_of(root, check("a.first"), check("b.second", "failed"), check(None))
    lines = markdown(made).splitlines()
    assert lines[0] == "# Evidence: staging"
    assert "| server | `b.second` | fail | value | it: 2, wanted is 1 |" in lines
    waived = "as wanted; waived until 2026-11-30: the judge and we disagree"
    assert f"| server | `a.first` | waived | value | {waived} |" in lines
    assert "| redis | pass | None: why |" in lines


def test_the_ending_chooses_the_form(root: Path, tmp_path: Path) -> None:
    # It is written now, on whatever day that is.
    (root / FILE).write_text(CONTROLS.replace("2026-11-30", "9999-12-31"))
    for name in ("evidence.json", "evidence.md"):
        write(tmp_path / name, root, report(check("a.first"), check("b.second")), [SERVER])
    assert Evidence.model_validate_json((tmp_path / "evidence.json").read_text()).form == 1
    assert (tmp_path / "evidence.md").read_text().startswith("# Evidence: staging\n")


def test_a_file_that_cannot_be_written_is_said(root: Path, tmp_path: Path) -> None:
    with pytest.raises(GadError) as caught:
        write(tmp_path / "none" / "evidence.json", root, report(), [])
    assert caught.value.fact.endswith("evidence.json cannot be written: No such file or directory")
    assert caught.value.exit_code == Exit.USAGE
