"""The prober's own test: what people notice of releases without slots, it must notice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from infra.operate.outputs import read_outputs
from infra.operate.probe import Prober, beside
from infra.operate.probe_report import Report
from infra.operate.pulumi import Pulumi
from infra.operate.users import Account, demo_admin
from tests.engine.release.baselines import Baseline, recreate, reload_and_kill, standing, start_first
from tests.engine.stack.checkout import STACK, Checkout

PER_SECOND, CLIENTS = 30, 10  # what two cores serve while they also start containers
AROUND_S = 2.0  # before the release, and after it

Release = Callable[[Baseline], None]
Probe = Callable[[Release], Report]


@pytest.fixture
def probe(checkout: Checkout, client: docker.DockerClient, tmp_path: Path) -> Iterator[Probe]:
    """Send load while one release happens; nothing fails before it."""
    outputs = read_outputs(STACK, Pulumi(checkout.root, STACK).deployment().outputs)
    account: Account = demo_admin(checkout.root, outputs)

    def run(release: Release) -> Report:
        with standing(client, outputs, tmp_path) as baseline:
            prober = Prober(baseline.url, None, account, per_second=PER_SECOND, clients=CLIENTS)
            with beside(prober):
                time.sleep(AROUND_S)
                prober.phase = release.__name__
                release(baseline)
                prober.phase = "after"
                time.sleep(AROUND_S)
        print(said(release, prober.report))
        assert prober.report.phases["steady"].requests.sent > 0
        assert [f for f in prober.report.failures if f.phase == "steady"] == []
        return prober.report

    before = checkout.containers(client)
    yield run
    assert checkout.containers(client) == before
    assert client.containers.list(all=True, filters={"name": f"{checkout.prefix}-baseline-"}) == []


def said(release: Release, report: Report) -> str:
    """The number, for who compares."""
    failed, sent = report.requests.failed, report.requests.sent
    closes = ", ".join(f"{count} × {code}" for code, count in report.sockets.codes.items())
    slowest = max((phase.latency.max_ms for phase in report.phases.values()), default=0)
    return (
        f"{release.__name__}: {failed} of {sent} requests failed, slowest {slowest:.0f} ms, "
        f"{CLIENTS} sockets closed {closes or 'never'}, "
        f"{report.posts.unknown} posts unknown ({report.posts.unknown_there} there)"
    )


@pytest.mark.parametrize("release", [recreate, start_first])
def test_a_release_that_leaves_nobody_to_answer_fails_requests(probe: Probe, release: Release) -> None:
    report = probe(release)
    assert report.requests.failed > PER_SECOND / 2
    assert {failure.what for failure in report.failures} >= {"502"}
    assert not report.is_clean
    assert (report.posts.lost, report.posts.doubled, report.posts.left) == (0, 0, 0)


def test_a_reload_and_a_kill_cut_everybody_off(probe: Probe) -> None:
    """Which requests it hits is chance; that no socket is told to go, but each is cut, is not."""
    report = probe(reload_and_kill)
    assert all(sum(each.values()) >= 1 for each in report.sockets.closes)
    assert 1012 not in report.sockets.codes
    assert (report.posts.lost, report.posts.doubled, report.posts.left) == (0, 0, 0)
