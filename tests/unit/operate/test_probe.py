"""The prober sees each kind of failure that it is there for, and none where there is none."""

from __future__ import annotations

import asyncio
import json

import pytest
from probed_api import Api, Fault, healthy, listening

from infra.errors import Exit, GadError
from infra.operate import probe, probe_mix, probe_sockets
from infra.operate.probe import Prober
from infra.operate.probe_report import Report
from infra.operate.users import Account

ACCOUNT = Account(email="jefe@distrito.example", password="ocho caballos verdes")
PER_SECOND, CLIENTS, SECONDS = 100, 3, 0.6
TASKS = "POST /api/v1/tasks"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in less time."""
    monkeypatch.setattr(probe_mix, "TRICKLE_S", (0.1, 0.3))
    monkeypatch.setattr(probe_sockets, "LAST_S", 0.5)
    monkeypatch.setattr(probe_sockets, "LINGER_S", 0.1)
    monkeypatch.setattr(probe_sockets, "PER_SECOND", 25)


def prober(url: str) -> Prober:
    return Prober(url, None, ACCOUNT, per_second=PER_SECOND, clients=CLIENTS)


async def probed(api: Api) -> Report:
    async with listening(api) as url:
        async with prober(url) as running:
            await asyncio.sleep(SECONDS)
        return running.report


def at(faults: dict[tuple[str, int], str]) -> Fault:
    """These requests alone, each counted from 0 among its like."""
    return lambda doing, number: faults.get((doing, number), "")


async def test_a_healthy_stack_has_no_failures_and_keeps_no_task() -> None:
    api = Api()
    report = await probed(api)
    assert report.is_clean
    assert report.failures == ()
    assert {*report.kinds} == {*probe_mix.SHARES}
    assert (
        report.requests.sent
        == sum(count.sent for count in report.kinds.values())
        >= 0.8 * PER_SECOND * SECONDS
    )
    tasks = [report.kinds[kind].sent for kind in probe_mix.ANSWERS]
    assert report.posts.sent == report.posts.acknowledged == len(api.bodies) == sum(tasks)
    assert api.tasks == []
    assert report.sockets.events == len(api.events) > 5
    assert report.sockets.received == (report.sockets.events,) * CLIENTS
    assert (report.sockets.codes, report.sockets.back_share) == ({}, None)


async def test_bodies_are_slow_and_large_and_connections_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_mix, "TRICKLE_S", (0.8, 0.9))
    api = Api()
    report = await probed(api)
    titles = [json.loads(body)["title"] for body in api.bodies]
    assert len({*titles}) == len(titles)
    large = [len(body) for body in api.bodies if len(body) > 1000]
    assert len(large) == report.kinds["upload"].sent > 0
    assert all(300_000 <= size <= 900_000 for size in large)
    # A body that is under way for so long is no answer that took as long.
    assert sum(wait > 0.6 for wait in api.waits_s) == report.kinds["slow"].sent > 0
    assert report.latency is not None
    assert report.latency.max_ms < 600
    assert api.opened >= report.kinds["fresh"].sent + CLIENTS


async def test_each_request_that_fails_is_told_with_when_and_why() -> None:
    faults = {
        ("GET /api/v1/officers/nearest", 1): "drop",
        ("GET /api/v1/map", 0): "500",
        ("GET /api/v1/tasks", 2): "429",
        (TASKS, 1): "502",
        (TASKS, 2): "200",  # not what a new task answers
    }
    report = await probed(Api(at(faults)))
    told = {failure.what.split(":")[0]: failure.kind for failure in report.failures}
    assert {*told} == {"IncompleteReadError", "500", "429", "502", "200"}
    assert told["IncompleteReadError"] in {"nearest", "fresh"}
    assert {told["502"], told["200"]} <= {*probe_mix.ANSWERS}
    assert (report.requests.failed, report.is_clean) == (len(faults), False)
    assert all(0 <= failure.second < SECONDS + 1 for failure in report.failures)
    assert report.posts.is_well


async def test_a_task_that_is_lost_or_there_twice_is_told() -> None:
    whats = ("drop", "cut", "lose", "lose", "double", "double", "double")
    api = Api(at({(TASKS, number): what for number, what in enumerate(whats)}))
    posts = (await probed(api)).posts
    assert (posts.unknown, posts.unknown_there, posts.lost, posts.doubled) == (2, 1, 2, 3)
    assert (posts.left, api.tasks, posts.is_well) == (0, [], False)


async def test_an_event_that_is_lost_or_comes_twice_is_told() -> None:
    report = await probed(Api(at({("event", 0): "lose", ("event", 3): "lose", ("event", 5): "double"})))
    assert (report.sockets.lost, report.sockets.doubled) == (2 * CLIENTS, CLIENTS)
    assert (report.failures, report.is_clean) == ((), False)


async def test_events_that_nobody_hears_at_the_end_are_lost_too() -> None:
    api = Api(lambda doing, number: "lose" if doing == "event" and number >= 5 else "")
    sockets = (await probed(api)).sockets
    assert sockets.lost == CLIENTS * (sockets.events - 5) > 0


async def test_clients_that_are_sent_away_come_back_when_they_were_told_and_miss_nothing() -> None:
    report = await probed(Api(at({("event", 3): "leave"})))
    assert report.sockets.closes == ({1012: 1},) * CLIENTS
    assert report.sockets.back_share == 1.0
    assert all(0.08 < back < 1 for back in report.sockets.backs_s)
    assert report.is_clean


async def test_a_phase_is_that_of_when_a_request_was_due() -> None:
    api = Api()
    async with listening(api) as url, prober(url) as running:
        assert running.phase == "steady"
        await asyncio.sleep(0.4)
        running.phase, api.slot = "route", "green"
        api.fault = lambda doing, _: "503" if doing == TASKS else ""
        await asyncio.sleep(0.4)
        running.phase, api.fault = "bake", healthy
        await asyncio.sleep(0.4)
    report = running.report
    assert [*report.phases] == ["steady", "route", "bake"]
    assert report.phases["route"].requests.failed > 0
    assert sum(phase.requests.sent for phase in report.phases.values()) == report.requests.sent
    assert {failure.phase for failure in report.failures} <= {"route", "steady → route", "route → bake"}
    assert {failure.slot for failure in report.failures} == {"green"}
    assert [stretch.slot for stretch in report.slots] == ["blue", "green"]
    assert 0.3 < report.slots[1].since_s < 0.7


async def test_a_stack_that_does_not_serve_is_told_at_once() -> None:
    async with listening(Api()) as url:
        pass
    with pytest.raises(GadError, match="does not serve"):
        async with prober(url):
            raise AssertionError("it began")


async def test_a_stack_that_stays_down_is_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ATTEMPTS", 1)
    async with listening(Api()) as url:
        running = prober(url)
        await running.__aenter__()
        await asyncio.sleep(0.4)
    await asyncio.sleep(0.2)
    await running.__aexit__()
    report = running.report
    assert "did not serve GET /api/v1/tasks" in report.posts.unchecked
    assert report.sockets.away == CLIENTS
    assert "ConnectionRefusedError" in {failure.what.split(":")[0] for failure in report.failures}


async def test_the_token_is_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "RENEW_S", 0.2)
    api = Api()
    report = await probed(api)
    renewed = api.seen["POST /api/v1/auth/login"] - 1
    assert renewed >= 3
    assert api.seen["auth"] >= CLIENTS * renewed
    assert report.is_clean


async def test_a_token_that_is_not_renewed_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "RENEW_S", 0.3)
    report = await probed(Api(at({("POST /api/v1/auth/login", 1): "403"})))
    assert [failure.kind for failure in report.failures] == ["token"]


async def test_only_this_machine_gets_load() -> None:
    with pytest.raises(GadError, match=r"https://gad\.example is not this machine") as refused:
        prober("https://gad.example")
    assert refused.value.exit_code == Exit.REFUSED
