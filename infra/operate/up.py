"""Bring a stack to what its file says, whatever an earlier run left; take it down; forget it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

import docker

from infra import claims
from infra.errors import Exit, GadError
from infra.operate import owned, preflight, server_plan
from infra.operate.certificate import save_authority
from infra.operate.docker_engine import connect
from infra.operate.locks import release_dead
from infra.operate.place import place_of
from infra.operate.pulumi import Deployment, Pulumi
from infra.operate.server import remove_folder
from infra.release import SLOTS
from infra.settings import Settings

# Nobody waits at a prompt here, and the preview of an update that runs at once is only time lost.
UNATTENDED = ("--yes", "--skip-preview", "--refresh", "--suppress-progress")

SLOT_S = 70  # its probe's own patience: 30 s to begin, three times 8 s to answer, and some

Say = Callable[[str], None]


def up(pulumi: Pulumi, say: Say) -> Settings:
    """Check, repair what an interrupted update left, and run `pulumi up` with a refresh.

    Raises GadError before anything changes if something is not right.
    """
    unlock(pulumi, say)
    desired = preflight.load_settings(pulumi)
    client = None
    if _is_bare(pulumi, desired):
        say("the server is bare: it is made ready first; its space, images and ports are not checked before")
    else:
        client = preflight.engine_of(desired)
        preflight.check(desired, client)
        repair(pulumi, client, desired.prefix, say)
        data = preflight.data_engine_of(desired)
        if data is not None:
            preflight.check_data(desired, data)
            repair(pulumi, data, desired.prefix, say)
    pulumi.run("up", *UNATTENDED)
    # A server that was bare has its engine only now; another's connection serves again.
    client = client or preflight.engine_of(desired)
    wait_for_slots(client, desired.prefix)
    if desired.file.proxy.tls == "internal":
        save_authority(pulumi.root, desired.stack, client, f"{desired.prefix}-proxy")
    return desired


def _is_bare(pulumi: Pulumi, desired: Settings) -> bool:
    """Whether this update has yet to make the server ready. Raises GadError if nobody is let in there."""
    if desired.file.server.hardening is None:
        return False
    return not server_plan.is_ready(pulumi.root, desired.stack)


def wait_for_slots(client: docker.DockerClient, prefix: str) -> None:
    """Wait until both API slots are healthy: a release tries the one it fills, nobody one that was restored.

    Raises GadError after `SLOT_S` seconds.
    """
    until = time.monotonic() + SLOT_S
    names = [f"{prefix}-api-{slot}" for slot in SLOTS]
    while starting := [name for name in names if _health(client, name) != "healthy"]:
        if time.monotonic() > until:
            raise GadError(
                f"{starting[0]} is not healthy after {SLOT_S} s",
                remedy=f"see what it says with `docker logs {starting[0]}`",
            )
        time.sleep(0.2)


def _health(client: docker.DockerClient, name: str) -> str:
    try:
        state = client.api.inspect_container(name)["State"]
    except docker.errors.NotFound:
        return "missing"
    return str(state.get("Health", {}).get("Status", "none")) if state["Running"] else "stopped"


def unlock(pulumi: Pulumi, say: Say) -> None:
    """Take away locks whose owner is dead. Raises GadError if a living one holds the stack."""
    state = pulumi.root / ".gad" / "state"
    for lock in release_dead(state, pulumi.stack):
        say(f"removed the lock of an update that was killed (pid {lock.pid}, {lock.timestamp:%H:%M:%S} UTC)")


def repair(pulumi: Pulumi, client: docker.DockerClient, prefix: str, say: Say) -> None:
    """Remove what an interrupted update made but could not record; refuse what nobody can explain.

    Raises GadError (refused) if something of this stack is on the engine but not in its state.
    """
    held = owned.owned(client, prefix)
    deployment = pulumi.deployment()
    begun = owned.interrupted(held, deployment)
    left = [*(item for item in begun if item.kind != "volume"), *owned.scratch(held)]
    for item in left:
        say(f"removing {item.kind} {item.name}, which an interrupted update had begun")
    owned.remove(client, left)
    lost = [item.name for item in owned.unknown(held, deployment) if item not in begun]
    if lost:
        raise GadError(
            f"{', '.join(lost)} exist and belong to stack {pulumi.stack}, but its state does not know them",
            remedy=f"take them over with `gad adopt {pulumi.stack}`, "
            f"or remove them with `gad clean {pulumi.stack} --orphans` (asks before data goes)",
            exit_code=Exit.REFUSED,
        )


def down(pulumi: Pulumi, say: Say) -> None:
    """Remove containers and networks; volumes, secrets and the claim stay. Raises GadError."""
    unlock(pulumi, say)
    if not pulumi.exists():
        say(f"stack {pulumi.stack} does not exist; nothing to take down")
        return
    pulumi.run("destroy", *UNATTENDED, "--exclude-protected")


def clean(pulumi: Pulumi, say: Say) -> None:
    """Remove the stack whole: containers, networks, volumes with their data, state, claim.

    The caller has asked the person before.
    """
    unlock(pulumi, say)
    place = place_of(pulumi.root, pulumi.stack)
    if pulumi.exists():
        if pulumi.deployment().resources:
            pulumi.read("state", "unprotect", "--all", "--yes")
            pulumi.run("destroy", *UNATTENDED)
        pulumi.read("stack", "rm", "--yes", "--preserve-config")
    for each in place.all:
        client = connect(each.server)
        rest = owned.owned(client, each.prefix)
        owned.remove(client, rest)
        for item in rest:
            say(f"removed {item.kind} {item.name}")
        if each.server is not None:
            remove_folder(each.server, each.folder)
    shutil.rmtree(pulumi.root / ".gad" / pulumi.stack, ignore_errors=True)
    claims.release(pulumi.stack, pulumi.root)


def orphans(pulumi: Pulumi) -> tuple[owned.Owned, ...]:
    """What is on the stack's engine with its labels and is not in its state."""
    place = place_of(pulumi.root, pulumi.stack)
    held = [item for each in place.all for item in owned.owned(connect(each.server), each.prefix)]
    deployment = pulumi.deployment() if pulumi.exists() else Deployment()
    return owned.unknown(held, deployment)


def remove_orphans(pulumi: Pulumi, items: tuple[owned.Owned, ...]) -> None:
    """Remove what `orphans` found; volumes with their data. The caller has asked the person before."""
    for each in place_of(pulumi.root, pulumi.stack).all:  # what is not there is gone already
        owned.remove(connect(each.server), items)
