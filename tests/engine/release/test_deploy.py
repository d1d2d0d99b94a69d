"""Releases of a running stack while people use it: nobody's request is dropped, whatever is released."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import docker
import pytest

from infra.operate.probe import probing
from infra.operate.probe_report import Report
from tests.engine.release.versions import (
    BAD_SECRET,
    CRASHES,
    CRASHES_AT_WORK,
    ERRORS,
    GOOD,
    HANGS,
    NEVER_READY,
    NO_START,
    OUT_OF_MEMORY,
    SLOW_BOOT,
    WRONG_PORT,
    Version,
    publish,
)
from tests.engine.stack.checkout import STACK, Checkout

LONG = bool(os.environ.get("GAD_TEST_LONG"))
RELEASES = 50 if LONG else 5
PER_SECOND, CLIENTS = (100.0, 20) if LONG else (30.0, 5)


def app_of(checkout: Checkout) -> str:
    """The image that is built here."""
    locked = json.loads((checkout.root / ".gad" / "images.lock.json").read_text())["images"]
    (digest,) = [image["digest"] for image in locked if image["name"] == "app"]
    return str(digest)


def live(checkout: Checkout) -> str:
    """As the machine's own file says."""
    return (checkout.root / ".gad" / STACK / "host" / "release" / "live").read_text()


def deploy(checkout: Checkout, *args: str) -> dict[str, Any]:
    """A release that goes well."""
    told: dict[str, Any] = json.loads(checkout.gad("deploy", STACK, "--json", *args).succeeded().out)
    return told


def refused(checkout: Checkout, image: str, code: int = 1) -> str:
    """A release that does not; its first line."""
    ran = checkout.gad("deploy", STACK, "--image", image).failed(code)
    return next(line for line in ran.err.splitlines() if line.startswith("error: "))


def unhurt(report: Report) -> None:
    """Nothing failed, nothing was lost, nothing came twice."""
    assert [each.model_dump_json() for each in report.failures] == []
    assert report.is_clean, report.model_dump_json(exclude={"failures", "slots"})
    assert report.requests.sent > 0  # else nothing was tried


def test_releases_drop_nothing(stack: Checkout, client: docker.DockerClient) -> None:
    with probing(stack.root, STACK, per_second=PER_SECOND, clients=CLIENTS) as probe:
        time.sleep(5)
        for number in range(RELEASES):
            before = stack.containers(client)
            was = live(stack)
            stack.edit("api.rate_limits.export", 100 + number)
            probe.phase = "release"
            told = deploy(stack)
            probe.phase = "between"
            assert (told["outcome"], told["slot"]) == ("released", {"blue": "green", "green": "blue"}[was])
            after = stack.containers(client)
            assert {role for role in after if after[role] != before[role]} == {f"api-{told['slot']}"}
            time.sleep(1)
    unhurt(probe.report)
    # Each client is closed once by each release, and told why.
    assert probe.report.sockets.closes == ({1012: RELEASES},) * CLIENTS
    print(probe.report.model_dump_json(exclude={"failures", "slots"}))


def test_the_same_again_is_nothing_to_do(stack: Checkout, client: docker.DockerClient) -> None:
    deploy(stack)
    before = stack.containers(client)
    assert deploy(stack)["outcome"] == "nothing to do"
    assert stack.containers(client) == before


def test_a_way_back_is_a_turn(stack: Checkout, client: docker.DockerClient) -> None:
    stack.edit("api.rate_limits.export", 77)
    was = live(stack)
    deploy(stack)
    assert live(stack) != was
    before = stack.containers(client)
    with probing(stack.root, STACK, per_second=PER_SECOND, clients=CLIENTS) as probe:
        time.sleep(2)
        fast = stack.gad("rollback", STACK, "--fast", "--json").succeeded()
        assert live(stack) == was
        time.sleep(1)
    # What was taken back is not the version before.
    assert "has a newer version" in stack.gad("rollback", STACK).failed(4).err
    assert "has a newer version" in stack.gad("rollback", STACK, "--fast").failed(1).err
    assert json.loads(fast.out)["outcome"] == "released"
    assert stack.containers(client) == before
    unhurt(probe.report)
    listed = json.loads(stack.gad("releases", STACK, "--json", "--last", "3").succeeded().out)
    assert "asked back" in [each["outcome"] for each in listed]


BAD: tuple[tuple[Version, str], ...] = (
    (NO_START, "this version cannot start"),
    (NEVER_READY, "not ok: rotation"),
    (OUT_OF_MEMORY, "it ran out of its memory"),
)
MORE: tuple[tuple[Version, str], ...] = (
    (CRASHES, "it ended"),
    (BAD_SECRET, "GAD_JWT_SECRET"),
    (WRONG_PORT, "it is unhealthy"),
    (HANGS, "it is unhealthy"),
)


@pytest.mark.parametrize(
    ("version", "reason"), [*BAD, *(MORE if LONG else ())], ids=lambda value: getattr(value, "name", "")
)
def test_a_bad_version_reaches_nobody(
    stack: Checkout, client: docker.DockerClient, version: Version, reason: str
) -> None:
    image = publish(client, app_of(stack), version)
    before, was = stack.containers(client), live(stack)
    with probing(stack.root, STACK, per_second=PER_SECOND, clients=CLIENTS) as probe:
        time.sleep(1)
        first = refused(stack, image)
        time.sleep(1)
    assert reason in first
    assert live(stack) == was
    after = stack.containers(client)
    assert set(after) == set(before)
    assert after[f"api-{was}"] == before[f"api-{was}"]
    unhurt(probe.report)


@pytest.mark.parametrize(
    "version", [ERRORS, *([CRASHES_AT_WORK] if LONG else [])], ids=lambda version: version.name
)
def test_a_version_that_fails_at_work_is_taken_back(
    stack: Checkout, client: docker.DockerClient, version: Version
) -> None:
    image = publish(client, app_of(stack), version)
    was = live(stack)
    stack.edit("release.bake_s", 15)
    with probing(stack.root, STACK, per_second=PER_SECOND, clients=CLIENTS) as probe:
        time.sleep(1)
        first = refused(stack, image)
        probe.phase = "after"
        time.sleep(2)
    assert f"{was} serves again" in first
    assert live(stack) == was
    assert [failure for failure in probe.report.failures if failure.phase == "after"] == []
    assert probe.report.posts.is_well


def test_an_image_that_does_not_exist_changes_nothing(stack: Checkout, client: docker.DockerClient) -> None:
    before = stack.containers(client)
    assert "does not exist" in refused(stack, f"127.0.0.1:5000/gad/app@sha256:{'f' * 64}")
    assert stack.containers(client) == before


def test_a_version_that_boots_slowly_is_waited_for(stack: Checkout, client: docker.DockerClient) -> None:
    image = publish(client, app_of(stack), SLOW_BOOT)
    with probing(stack.root, STACK, per_second=PER_SECOND, clients=CLIENTS) as probe:
        assert deploy(stack, "--image", image)["image"] == image
    unhurt(probe.report)


def test_what_failed_once_is_released_when_it_is_right(stack: Checkout, client: docker.DockerClient) -> None:
    refused(stack, publish(client, app_of(stack), NO_START))
    good = publish(client, app_of(stack), GOOD)
    assert deploy(stack, "--image", good)["image"] == good
    assert json.loads(stack.gad("status", STACK, "--json").succeeded().out)["verdict"] == "healthy"
