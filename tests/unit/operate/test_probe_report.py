"""What is made of a run's requests: every number by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from infra.operate.probe_mix import ANSWERS, SHARES, Mix, is_failed
from infra.operate.probe_report import Found, Probed, Report, Sockets, Stretch, heard, posts, report

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
DUE = 1000.0  # of the monotonic clock, when the run began


def request(second: float, ms: float = 10, **changes: object) -> Probed:
    """One that was due at this second of the run and answered 200 by blue."""
    probed = Probed(
        kind="list",
        due=DUE + second,
        ended=DUE + second + ms / 1000,
        at=BEGAN.timestamp() + second,
        seconds=ms / 1000,
        status=200,
        failure="",
        slot="blue",
        phase="steady",
        until="steady",
    )
    return probed._replace(**changes)


def post(title: str, status: int = 201) -> Probed:
    return request(0, kind="create", status=status, mark=title)


def quiet() -> Sockets:
    """Two clients that nothing happened to."""
    return heard(5, received=[5, 5], doubled=[0, 0], gaps=0, closes=[{}, {}], backs_s=[], away=0)


def reported(*probed: Probed, found: Found | None = None, sockets: Sockets | None = None) -> Report:
    return report(probed, found or Found(), sockets or quiet(), began=BEGAN, seconds=3.0)


def test_requests_are_counted_by_kind_and_phase() -> None:
    seen = reported(
        request(0),
        request(1, kind="map", status=503, phase="route", until="route"),
        request(0.5, phase="park", until="park"),
        request(1.5, phase="route", until="route"),
    )
    assert {kind: (count.sent, count.failed) for kind, count in seen.kinds.items()} == {
        "list": (3, 0),
        "map": (1, 1),
    }
    phases = {name: (p.requests.sent, p.requests.failed) for name, p in seen.phases.items()}
    assert [*phases.items()] == [("steady", (1, 0)), ("park", (1, 0)), ("route", (2, 1))]
    assert (seen.requests.sent, seen.requests.failed) == (4, 1)


def test_latencies_are_measured_ones_also_of_failures() -> None:
    slow = request(2, ms=5000, status=0, failure="TimeoutError: ", phase="route")
    seen = reported(*(request(n / 100, ms=n) for n in range(1, 100)), slow)
    assert seen.latency is not None
    assert seen.latency.model_dump() == {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "max_ms": 5000}
    assert seen.phases["steady"].latency.max_ms == 99
    assert seen.phases["route"].latency.p50_ms == 5000


def test_nothing_due_is_no_latency() -> None:
    assert reported().latency is None


def test_a_failure_says_when_what_and_during_which_phase() -> None:
    cut = request(1.25, ms=80, kind="slow", status=0, failure="ConnectionResetError: ", slot="")
    seen = reported(cut._replace(phase="smoke", until="route"), request(0.5, status=404), request(0))
    first, second = seen.failures
    assert (first.second, first.phase, first.kind, first.what, first.slot) == (
        0.5,
        "steady",
        "list",
        "404",
        "blue",
    )
    assert second.model_dump(mode="json") == {
        "at": "2026-01-01T12:00:01.250000Z",
        "second": 1.25,
        "phase": "smoke → route",
        "kind": "slow",
        "what": "ConnectionResetError: ",
        "slot": "",
        "milliseconds": 80.0,
    }


def test_slots_are_told_in_the_order_of_their_answers() -> None:
    seen = reported(
        request(0),
        request(0.1, ms=400),
        request(0.3, ms=300, slot="green"),
        request(0.8, status=0, slot=""),  # nobody answered
        request(0.2, ms=900),
        request(1.2, status=502, slot=""),
    )
    assert seen.slots == (
        Stretch(slot="blue", since_s=0.01, until_s=0.5, answers=2),
        Stretch(slot="green", since_s=0.6, until_s=0.6, answers=1),
        Stretch(slot="blue", since_s=1.1, until_s=1.1, answers=1),
        Stretch(slot="", since_s=1.21, until_s=1.21, answers=1),
    )


@pytest.mark.parametrize(
    ("there", "lost", "doubled", "unknown_there"),
    [
        ("a b", 0, 0, 0),
        ("a", 1, 0, 0),
        ("", 2, 0, 0),
        ("a b b", 0, 1, 0),
        ("a a a", 1, 2, 0),
        ("a b c", 0, 0, 1),
        ("b c c", 1, 1, 1),
    ],
)
def test_posts_are_counted_by_what_is_there(there: str, lost: int, doubled: int, unknown_there: int) -> None:
    sent = [post("a"), post("b"), post("c", status=0), post("d", status=502)]
    seen = posts(sent, Found(there.split()))
    assert (seen.sent, seen.acknowledged, seen.unknown) == (4, 2, 2)
    assert (seen.lost, seen.doubled, seen.unknown_there) == (lost, doubled, unknown_there)
    assert seen.is_well is (lost == doubled == 0)


def test_posts_that_could_not_be_counted_are_not_well() -> None:
    seen = posts([post("a")], Found(unchecked="nobody answered"))
    assert (seen.lost, seen.is_well, seen.unchecked) == (0, False, "nobody answered")


@pytest.mark.parametrize(
    ("received", "doubled", "lost"),
    [
        ([5, 5], [0, 0], 0),
        ([4, 5], [0, 0], 1),
        ([0, 0], [0, 0], 10),
        ([6, 5], [1, 0], 0),
        ([5, 5], [1, 0], 1),
    ],
)
def test_events_are_counted_by_what_was_sent(received: list[int], doubled: list[int], lost: int) -> None:
    seen = heard(5, received=received, doubled=doubled, gaps=0, closes=[{}, {}], backs_s=[], away=0)
    assert (seen.lost, seen.doubled) == (lost, sum(doubled))
    assert seen.is_well is (lost == sum(doubled) == 0)


def test_closes_are_told_by_client_and_code_and_returns_by_their_share() -> None:
    closes = [{1012: 1}, {1012: 1, 1006: 2}]
    seen = heard(
        0, received=[0, 0], doubled=[0, 0], gaps=0, closes=closes, backs_s=[0.2, 1.0, 1.01, 9], away=0
    )
    assert (seen.closes, seen.codes) == (({1012: 1}, {1012: 1, 1006: 2}), {1006: 2, 1012: 2})
    assert seen.back_share == 0.5
    assert seen.is_well


@pytest.mark.parametrize(
    ("found", "sockets"),
    [
        (Found(["x", "x"]), {}),
        (Found(unchecked="no"), {}),
        (Found(), {"lost": 1}),
        (Found(), {"doubled": 1}),
        (Found(), {"gaps": 1}),
        (Found(), {"away": 1}),
    ],
)
def test_a_run_is_clean_only_if_nothing_is_wrong(found: Found, sockets: dict[str, int]) -> None:
    wrong = quiet().model_copy(update=sockets)
    assert reported(request(0)).is_clean
    assert not reported(request(0), found=found, sockets=wrong).is_clean
    assert not reported(request(0, status=429)).is_clean


@pytest.mark.parametrize("status", [0, 202, 304, 404, 429, 500, 503])
def test_only_the_expected_answer_is_none_of_the_failures(status: int) -> None:
    for kind in SHARES:
        expected = ANSWERS.get(kind, 200)
        assert is_failed(kind, status)
        assert not is_failed(kind, expected)
    assert is_failed("create", 200)
    assert is_failed("list", 201)


def test_the_mix_has_its_shares_and_its_token_when_it_is_sent() -> None:
    tokens = ["one"]
    mix = Mix("run", lambda: tokens[-1])
    requests = iter(mix)
    sent = [next(requests) for _ in range(4000)]
    for kind, share in SHARES.items():
        assert sum(each.kind == kind for each in sent) / 40 == pytest.approx(share, abs=2)
    assert sum(SHARES.values()) == 100
    tasks = [each for each in sent if each.mark]
    assert len({each.mark for each in tasks}) == len({each.headers for each in tasks}) == len(tasks)
    assert all(each.mark.startswith(mix.prefix) for each in tasks)
    assert {each.kind for each in sent if each.is_alone} == {"fresh"}
    assert {each.kind for each in sent if each.trickle_s} == {"slow"}
    tokens.append("two")
    assert next(requests).headers[0] == ("Authorization", "Bearer two")
    assert [*replace(mix, name="other").prefix] != [*mix.prefix]
