"""The offline docker provider against the observed behaviour of the official one (docker.yaml)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from tests.engine.conformance.docker_cases import CASES, DATA, Case, Recorder, case_ids, masked
from tests.engine.conformance.harness import Stack, Step
from tests.engine.conformance.images import TestImages

pytestmark = (
    pytest.mark.engine
)  # with several workers: --dist loadfile, the recording is made once per worker


@pytest.fixture(scope="session")
def recorder(
    new_stack: Callable[[str], Stack],
    conformance_images: TestImages,
    docker_client: docker.DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Recorder]:
    recorder = Recorder(new_stack, conformance_images, tmp_path_factory.mktemp("bind"), docker_client)
    try:
        recorder.record()
        yield recorder
    finally:
        recorder.clean()


@pytest.fixture
def case(recorder: Recorder, request: pytest.FixtureRequest) -> Case:
    return recorder.cases[request.param]


def steps_of(plan: Any) -> tuple[Step, ...]:
    """The engine's steps for a plan of the data file."""
    if isinstance(plan, str):
        return () if plan == "none" else (Step(plan),)
    ((kind, detailed),) = plan.items()
    diffs = tuple(sorted({re.split(r"[.\[]", path)[0] for path in detailed}))
    if kind == "update":
        return (Step("update", (), diffs, detailed),)
    keys = tuple(
        sorted({re.split(r"[.\[]", path)[0] for path, how in detailed.items() if how.endswith("-replace")})
    )
    replaced = [Step(op, keys, diffs, detailed) for op in ("replace", "create-replacement")]
    if kind == "delete-first":
        return (Step("delete-replaced"), *replaced)
    return (*reversed(replaced), Step("delete-replaced"))


def cases(**wanted: object) -> pytest.MarkDecorator:
    """Parametrise over the cases that have the wanted keys, never over none."""
    ids = case_ids(**wanted)
    assert ids
    return pytest.mark.parametrize("case", ids, indirect=True)


@cases(case=...)
def test_creation(case: Case) -> None:
    run = case.runs["create"]
    failing = case.data.get("create") == "fails"
    assert run.of(case.name) == (Step("create"),)
    assert bool(run.errors(case.name)) is failing, run.output


@cases(create="fails")
def test_a_failed_creation_says_why(case: Case) -> None:
    assert case.data["error"].lower() in case.runs["create"].errors(case.name).lower()


@cases(facts=...)
def test_the_engine_after_the_creation(case: Case) -> None:
    assert masked(case.facts["created"], case) == masked(case.expected("facts"), case)


@cases(outputs=...)
def test_the_recorded_state(case: Case) -> None:
    assert case.state is not None
    assert bool(case.state.init_errors) is case.data.get("init_errors", False)
    outputs = masked({**case.state.outputs}, case)
    expected = masked(case.expected("outputs"), case)
    assert {key: outputs.get(key) for key in expected} == expected
    assert {*outputs} - {*expected} <= {"entrypoints", "stopSignal"}


@cases(input_keys=...)
def test_the_recorded_inputs(case: Case) -> None:
    assert case.state is not None
    base = [*DATA["input_keys"]] if case.is_container else []
    expected = {*base, *case.data["input_keys"].get("+", [])}
    assert {*case.state.inputs} - {"__defaults"} == expected


@cases(after_tamper=...)
def test_the_plan_after_tampering(case: Case) -> None:
    seen = case.runs["after_tamper"].of(case.name)
    assert seen == (Step("refresh"), *steps_of(case.data["after_tamper"]))
    assert case.runs["tamper_refresh"].of(case.name) == (Step("refresh"),)


@cases(plan=...)
def test_the_plan_of_the_edit(case: Case) -> None:
    assert case.runs["plan"].of(case.name) == steps_of(case.data["plan"])


@cases(plan=...)
def test_the_run_of_the_edit(case: Case) -> None:
    run = case.runs["edit"]
    failing = case.data.get("edited") == "fails"
    planned = steps_of(case.data["plan"])
    # A replacement that fails at its first step never comes to the others.
    stops_early = failing and len(planned) > 1
    assert run.of(case.name) == (planned[:1] if stops_early else planned)
    assert bool(run.errors(case.name)) is failing, run.output


@cases(edited="fails")
def test_a_failed_edit_says_why(case: Case) -> None:
    assert case.data["error"].lower() in case.runs["edit"].errors(case.name).lower()


@pytest.mark.parametrize(
    "case",
    [each["case"] for each in CASES if "edit" in each and each["type"] in ("Container", "Network", "Volume")],
    indirect=True,
)
def test_the_engine_after_the_edit(case: Case) -> None:
    assert masked(case.facts["edited"], case) == masked(case.expected("edited_facts"), case)


@cases(plan=...)
def test_the_second_plan(case: Case) -> None:
    assert [step.op for step in case.runs["second"].of(case.name)] == [
        step.op for step in steps_of(case.data.get("second", "same"))
    ]


@pytest.mark.parametrize("case", case_ids(group="edited") + case_ids(group="tampered"), indirect=True)
def test_the_refresh_after_the_edit(case: Case) -> None:
    assert case.runs["refresh"].of(case.name) == (Step("refresh"),)


@cases(case=...)
def test_the_destruction(case: Case) -> None:
    # A case without an edit left the program in the edit's run.
    run = case.runs["destroy" if "edit" in case.data else "edit"]
    expected = case.data.get("destroy", "delete")
    assert run.of(case.name) == (() if expected == "none" else (Step("delete"),))
    assert bool(run.errors(case.name)) is (expected == "fails")


def test_a_network_in_use_names_its_user(recorder: Recorder) -> None:
    case = recorder.cases["network.in_use_delete"]
    assert f"{case.physical}-user" in case.runs["destroy"].errors(case.name)


def test_nothing_of_a_destroyed_case_is_left(recorder: Recorder) -> None:
    left = [
        name
        for name, each in recorder.cases.items()
        if each.data["type"] in ("Container", "Network", "Volume")
        and each.facts["destroyed"].get("exists") is not False
    ]
    assert left == ["container.name_taken", "network.in_use_delete"]


def test_every_deviation_has_a_reason() -> None:
    assert all(each["name"] and each["official"] and each["ours"] for each in DATA["deviations"])
