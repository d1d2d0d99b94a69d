"""What a slot's own metrics say of its first seconds: when a version is taken back, and when not yet."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from infra.stack_release import WATCH


@pytest.fixture(scope="module")
def watch() -> ModuleType:
    """The program that lies beside the slots, as a module."""
    spec = importlib.util.spec_from_file_location("watch", WATCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def metrics(*, good: int = 0, bad: int = 0, slow: int = 0, health: int = 0) -> str:
    """In the form of the application's private port."""
    requests = "gad_http_requests_total"
    timed = "gad_http_request_duration_seconds_bucket"
    total = good + bad
    return (
        f"# HELP {requests} Answers sent.\n"
        f'{requests}{{method="GET",route="/api/v1/tasks",status="200"}} {good:.1f}\n'
        f'{requests}{{method="POST",route="/api/v1/tasks",status="503"}} {bad:.1f}\n'
        f'{requests}{{method="GET",route="/health/ready",status="503"}} {health:.1f}\n'
        f'{timed}{{le="0.2",route="/api/v1/tasks"}} 0.0\n'
        f'{timed}{{le="0.5",route="/api/v1/tasks"}} {total - slow:.1f}\n'
        f'{timed}{{le="+Inf",route="/api/v1/tasks"}} {total:.1f}\n'
        f'{timed}{{le="+Inf",route="/health/ready"}} {health:.1f}\n'
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({"good": 100}, {"good": 100}),
        ({"bad": 50}, {"bad": 50, "good": 1000}),  # of before it was watched
        ({}, {"good": 95, "bad": 5}),
        ({}, {"bad": 19}),  # too few to say anything
        ({}, {"good": 100, "slow": 5}),
        ({}, {"good": 99, "slow": 20}),  # its first answers
        ({}, {"good": 100, "health": 900}),  # a probe is nobody's request
    ],
)
def test_it_may_stay(watch: ModuleType, before: dict[str, int], after: dict[str, int]) -> None:
    watch.Counters(metrics(**after)).judge(watch.Counters(metrics(**before)))


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, {"good": 94, "bad": 6}, "6 of 100 answers were errors of the server"),
        ({"good": 1000}, {"good": 1000, "bad": 20}, "20 of 20 answers were errors of the server"),
        ({}, {"good": 100, "slow": 6}, "6 of 100 answers took longer than 500 ms"),
        ({"good": 10}, {"good": 1}, "the process began anew while it was watched"),
    ],
)
def test_it_is_taken_back(watch: ModuleType, before: dict[str, int], after: dict[str, int], why: str) -> None:
    with pytest.raises(watch.Unfit, match=f"^{why}$"):
        watch.Counters(metrics(**after)).judge(watch.Counters(metrics(**before)))


def test_its_labels_are_those_of_the_application(watch: ModuleType) -> None:
    """The form is Prometheus' own; names and labels are a contract between two programs."""
    from app import metrics as application  # noqa: PLC0415 - importing it fills a registry

    before = watch.Counters(application.render().decode())
    for _ in range(30):
        application.count_exchange("GET", "/api/v1/watched", 500, 0.7)
    with pytest.raises(watch.Unfit, match="30 of 30 answers were errors"):
        watch.Counters(application.render().decode()).judge(before)
