"""Releases cut off at any step, slots that die meanwhile: people are served and the next run ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import docker
import pytest

from infra.operate.probe import probing
from tests.engine.release.test_deploy import CLIENTS, PER_SECOND, app_of, deploy, live, unhurt
from tests.engine.release.versions import GOOD, publish
from tests.engine.stack.checkout import STACK, Checkout

LONG = bool(os.environ.get("GAD_TEST_LONG"))
IMAGE_STEPS = ("backup-take", "migration-gate", "migration-lint", "migration-rehearsal", "migration-run")
SLOT_STEPS = ("release-park", "api-SLOT-server", "api-SLOT-server-pids")
END_STEPS = ("release-smoke", "release-route", "release-bake", "release-record")
STEPS = (*IMAGE_STEPS, *SLOT_STEPS, *END_STEPS)
TIMES = 3 if LONG else 1
# In the tests those that leave something behind; all of them in the soak.
KILLED = STEPS if LONG else ("api-SLOT-server", "release-bake")
WAIT_S = 60


def begun(checkout: Checkout, name: str) -> bool:
    """Whether the running update has begun this resource, as its own log of events says."""
    for log in (checkout.root / ".gad" / "logs").glob("*/events.json"):
        for line in log.read_text(errors="replace").splitlines():
            if '"resourcePreEvent"' in line and f'::{name}"' in line and '"op":"same"' not in line:
                return True
    return False


def forget(checkout: Checkout) -> None:
    """Logs of events that a killed update left."""
    for log in (checkout.root / ".gad" / "logs").glob("*/events.json"):
        log.unlink()


def begin(checkout: Checkout, name: str) -> subprocess.Popen[bytes]:
    """A release that runs, in a group of its own, and has come to this resource."""
    forget(checkout)
    process = subprocess.Popen(
        [str(checkout.root / "bin" / "gad"), "deploy", STACK],
        cwd=checkout.root,
        env=checkout.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + WAIT_S
    while not begun(checkout, name):
        assert process.poll() is None, f"the release ended before {name}"
        assert time.monotonic() < until, f"the release did not come to {name}"
        time.sleep(0.01)
    return process


def kill_at(checkout: Checkout, name: str) -> None:
    """Begin a release and end it, all of its processes at once, as soon as it is at this resource."""
    process = begin(checkout, name)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def leftovers(root: Path) -> list[str]:
    """What no finished release leaves in the release directory."""
    kept = {"live", "ledger.jsonl", "recorded.json", "watch.py"}
    folder = root / ".gad" / STACK / "host" / "release"
    return sorted(path.name for path in folder.iterdir() if path.name not in kept)


@pytest.mark.parametrize("step", [step for step in KILLED for _ in range(TIMES)])
def test_the_next_release_ends_what_a_killed_one_began(
    stack: Checkout, client: docker.DockerClient, step: str
) -> None:
    idle = {"blue": "green", "green": "blue"}[live(stack)]
    publish_another(stack, client)
    with probing(stack.root, STACK, per_second=PER_SECOND, clients=CLIENTS) as probe:
        time.sleep(1)
        kill_at(stack, step.replace("SLOT", idle))
        probe.phase = "killed"
        time.sleep(2)
        probe.phase = "next"
        told = deploy(stack)
        time.sleep(1)
    unhurt(probe.report)
    assert (told["outcome"], told["slot"]) == ("released", live(stack))
    assert json.loads(stack.gad("status", STACK, "--json").succeeded().out)["verdict"] == "healthy"
    assert sorted(stack.containers(client)) == ["api-blue", "api-green", "postgres", "proxy", "redis"]
    assert leftovers(stack.root) == []
    assert deploy(stack)["outcome"] == "nothing to do"


def publish_another(checkout: Checkout, client: docker.DockerClient) -> None:
    """An image that was never released, so that every step has something to do, in the stack file."""
    version = type(GOOD)(GOOD.name, f"# {time.time_ns()}\n{GOOD.program}")
    checkout.edit("images.app", publish(client, app_of(checkout), version))


@pytest.fixture
def busy(stack: Checkout, client: docker.DockerClient) -> Checkout:
    """A stack whose next release has every step to do."""
    publish_another(stack, client)
    return stack


@pytest.mark.parametrize("role", ["new", "old"] if LONG else ["old"])
def test_a_slot_that_dies_in_a_release_is_no_end_of_service(
    busy: Checkout, client: docker.DockerClient, role: str
) -> None:
    """Killed inside, as by a crash: the engine starts it again, and whoever waits is served."""
    was = live(busy)
    slot = {"new": {"blue": "green", "green": "blue"}[was], "old": was}[role]
    process = begin(busy, "release-smoke")
    container = client.containers.get(f"{busy.prefix}-api-{slot}")
    container.exec_run(["python", "-c", "import os, signal; os.kill(-1, signal.SIGKILL)"])
    assert process.wait(timeout=WAIT_S * 2) in (0, 1)
    told = deploy(busy)
    assert told["outcome"] in ("released", "nothing to do")
    assert json.loads(busy.gad("status", STACK, "--json").succeeded().out)["verdict"] == "healthy"
