"""A release from the outside: the same `pulumi up`, with checks before it and a report after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import docker
from docker.errors import NotFound
from pydantic import BaseModel, ConfigDict

from infra.attempt import BACK
from infra.desired import desired_slot
from infra.errors import Exit, GadError
from infra.last_release import RECORD, parse_recorded
from infra.operate import preflight, stack_file, up
from infra.operate.images.pins import pin
from infra.operate.live_slot import live_slot
from infra.operate.progress import Step
from infra.operate.pulumi import Deployment, Pulumi
from infra.release import SLOTS, Recorded, idle_of
from infra.settings import Settings

# No refresh: a release asks the machine itself, step by step, for what it goes by.
RELEASE = ("--yes", "--skip-preview", "--suppress-progress")
GATES = ("migration-lint",)  # a failure there is a refusal: nothing was tried

Say = Callable[[str], None]


class Report(BaseModel):
    """What a release came to. `slot` is in rotation now, as the machine says; `image` is what it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    outcome: Literal["nothing to do", "released", "failed"]
    slot: str | None
    image: str
    wanted: str
    seconds: float
    steps: tuple[Step, ...] = ()
    reason: str = ""
    remedy: str = ""
    exit_code: int = 0


def deploy(pulumi: Pulumi, say: Say, *, image: str | None = None) -> Report:
    """Release what the stack file says; with `image`, write that digest into it first.

    What failed is in the report, not raised. Raises GadError (and has changed nothing) if a release may not
    begin: a mistake in the stack file, a lock, another image of a store, something that nobody can explain.
    """
    began = time.monotonic()
    up.unlock(pulumi, say)
    if image is not None:
        _write_image(pulumi.root, pulumi.stack, image)
    with ThreadPoolExecutor(max_workers=1) as background:
        known = background.submit(_deployment, pulumi)
        desired = preflight.load_settings(pulumi)
        deployment = known.result()
    recorded = recorded_of(deployment)
    wanted = desired_slot(desired)
    if recorded is not None and wanted == recorded.slot(recorded.live) and is_serving(desired, recorded):
        return Report(
            stack=pulumi.stack,
            outcome="nothing to do",
            slot=recorded.live,
            image=wanted.image,
            wanted=wanted.image,
            seconds=round(time.monotonic() - began, 2),
        )
    refuse_other_images(deployment, desired)
    return _release(pulumi, say, desired, wanted.image, began=began, told=None)


def roll_back(pulumi: Pulumi, say: Say) -> Report:
    """Release what the idle slot runs, whatever the stack file says. Raises GadError as `deploy` does."""
    began = time.monotonic()
    up.unlock(pulumi, say)
    desired = preflight.load_settings(pulumi)
    recorded = recorded_of(_deployment(pulumi))
    if recorded is None:
        raise GadError(
            f"stack {pulumi.stack} has no version before: nothing was released yet",
            remedy=f"bring it up with `gad up {pulumi.stack}`",
            exit_code=Exit.REFUSED,
        )
    before = recorded.slot(idle_of(recorded.live))
    newer = recorded.attempt_of(idle_of(recorded.live)) > recorded.attempt_of(recorded.live)
    if newer or before == recorded.slot(recorded.live):
        holds = "a newer version" if newer else "the same version"
        raise GadError(
            f"the idle slot of stack {pulumi.stack} has {holds}: there is none before the live one",
            remedy="release the version that is wanted with `gad deploy`",
            exit_code=Exit.REFUSED,
        )
    return _release(pulumi, say, desired, before.image, began=began, told={BACK: "1"})


def _release(
    pulumi: Pulumi, say: Say, desired: Settings, wanted: str, *, began: float, told: dict[str, str] | None
) -> Report:
    client = preflight.engine_of(desired)
    preflight.check(desired, client)
    up.repair(pulumi, client, desired.prefix, say)
    steps: list[Step] = []
    failure: GadError | None = None
    try:
        pulumi.run("up", *RELEASE, steps=steps, told=told)
    except GadError as error:
        failure = error
    slot = rotating(client, desired)
    report = Report(
        stack=pulumi.stack,
        outcome="released",
        slot=slot,
        image=_image_of(client, f"{desired.prefix}-api-{slot}") if slot else "",
        wanted=wanted,
        seconds=round(time.monotonic() - began, 2),
        steps=tuple(steps),
    )
    if failure is None:
        return report
    refused = failure.exit_code == Exit.REFUSED or failure.fact.partition(":")[0] in GATES
    return report.model_copy(
        update={
            "outcome": "failed",
            "reason": failure.fact,
            "remedy": failure.remedy,
            "exit_code": int(Exit.REFUSED if refused else Exit.FAILED),
        }
    )


def recorded_of(deployment: Deployment) -> Recorded | None:
    """The last finished release, as the state has it; None before the first. Raises GadError."""
    for resource in deployment.resources:
        if resource.name == RECORD:
            return parse_recorded(str(resource.inputs["stdin"]))
    return None


def _deployment(pulumi: Pulumi) -> Deployment:
    return pulumi.deployment() if pulumi.exists() else Deployment()


def rotating(client: docker.DockerClient, desired: Settings) -> str | None:
    """The slot in rotation, as the machine's own file says; None if nobody can tell."""
    return live_slot(client, [f"{desired.prefix}-api-{slot}" for slot in SLOTS])


def is_serving(desired: Settings, recorded: Recorded) -> bool:
    """Whether the machine has the recorded slot in rotation, healthy, with the recorded image."""
    client = preflight.engine_of(desired)
    if rotating(client, desired) != recorded.live:
        return False
    try:
        record = client.api.inspect_container(f"{desired.prefix}-api-{recorded.live}")
    except NotFound:
        return False
    healthy = record["State"].get("Health", {}).get("Status") == "healthy"
    return healthy and bool(record["Config"]["Image"] == recorded.slot(recorded.live).image)


def _image_of(client: docker.DockerClient, name: str) -> str:
    try:
        return str(client.api.inspect_container(name)["Config"]["Image"])
    except NotFound:
        return ""


def refuse_other_images(deployment: Deployment, desired: Settings) -> None:
    """A release changes the API alone. Raises GadError (refused) if another service would be replaced."""
    declared = deployment.outputs.get("images")
    known = declared if isinstance(declared, dict) else {}
    others = [name for name, image in sorted(desired.images.items()) if known.get(name, image) != image]
    if others := [name for name in others if name != "app"]:
        raise GadError(
            f"{' and '.join(others)} would get another image, which interrupts the service",
            remedy=f"do it in a window of its own: `gad maintenance {desired.stack}`; a release never does",
            exit_code=Exit.REFUSED,
        )


def _write_image(root: Path, stack: str, digest: str) -> None:
    path = stack_file.path_of(root, stack)
    text = path.read_text(encoding="utf-8")
    path.write_text(pin(text, {"app": digest}, source=path.name), encoding="utf-8")
