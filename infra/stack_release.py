"""The API of a stack and its release: both slots, and the steps from one version to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pulumi import Output, Resource

from infra.components.api import ApiSlot, ApiSlotArgs, ReleaseDir, ReleaseDirArgs
from infra.components.host import Host
from infra.components.release import Release, ReleaseArgs
from infra.components.secrets import Secrets
from infra.desired import FORM, desired_slot, names_of
from infra.errors import Exit, GadError
from infra.names import part_of
from infra.release import SLOTS, Attempt, Plan, Recorded, SlotName, idle_of, plan_release
from infra.settings import ROOT, Settings
from infra.steps.rehearsal import Before, Scratch, StoreCopy
from infra.steps.rotation import rotation_of, step_input

WATCH = ROOT / "config" / "release" / "watch.py"


@dataclass(frozen=True)
class Released:
    """Both slots; `done` has a value once the release is over."""

    slots: Mapping[SlotName, ApiSlot]
    done: Output[str]


def planned(settings: Settings, recorded: Recorded | None, attempt: Attempt, *, back: bool) -> Plan:
    """What each slot is to run. `back`: what the idle one runs now. Raises GadError if there is none yet."""
    if not back:
        return plan_release(desired_slot(settings), recorded, attempt)
    if recorded is None:
        raise GadError(
            f"stack {settings.stack} has no version before: nothing was released yet",
            remedy=f"bring it up with `gad up {settings.stack}`",
            exit_code=Exit.REFUSED,
        )
    return plan_release(recorded.slot(idle_of(recorded.live)), recorded, attempt)


def release(
    settings: Settings,
    plan: Plan,
    recorded: Recorded | None,
    *,
    host: Host,
    needs: tuple[Resource, ...],
    proxy: Resource,
) -> Released:
    """Declare the slots and the steps around them; `needs` comes before whatever is done to a slot."""
    file, names = settings.file, names_of(settings)
    directory = ReleaseDir(
        "release",
        ReleaseDirArgs(
            host=host, path=f"{settings.host_dir}/release", watch=WATCH.read_text(encoding="utf-8")
        ),
    )
    steps = Release(
        "release",
        ReleaseArgs(
            host=host,
            directory=directory,
            rotation=rotation_of(names, directory=directory.path, site=file.proxy.site),
            told=step_input(
                attempt=plan.attempt.id,
                by=plan.attempt.by,
                live=plan.live,
                image=plan.slot(plan.live).image,
                blue_attempt=plan.blue_attempt,
                green_attempt=plan.green_attempt,
            ),
            record=plan.recorded.model_dump_json(),
            bake_s=file.release.bake_s,
            drain_s=file.release.drain_s,
            needs=needs,
        ),
    )
    slots = {
        slot: ApiSlot(
            f"api-{slot}",
            ApiSlotArgs(
                host=host,
                names=names,
                slot=slot,
                image=plan.slot(slot).image,
                envs=dict(plan.slot(slot).envs),
                secrets_dir=plan.slot(slot).secrets_dir,
                release_dir=directory.path,
                memory_mib=plan.slot(slot).memory_mib,
                cpus=plan.slot(slot).cpus,
                pids=plan.slot(slot).pids,
                keep=_is_kept(slot, plan, recorded),
                attempt=plan.attempt_of(slot),
                hosts=plan.slot(slot).hosts,
                needs=(directory, *needs, steps.park),
            ),
        )
        for slot in SLOTS
    }
    return Released(slots, steps.turn(tuple(each.server for each in slots.values()), proxy))


def scratch(
    settings: Settings, recorded: Recorded | None, secrets: Secrets, *, postgres: str, redis: str
) -> Scratch:
    """What a migration is rehearsed on: the stores once more, by their folders, and the live version."""
    file = settings.file
    live = recorded.slot(recorded.live) if recorded is not None else None
    return Scratch(
        subnet=str(part_of(settings.subnet, "store")),  # not used where all is on one server
        postgres=StoreCopy(
            image=settings.images["postgres"],
            config_dir=postgres,
            secrets_dir=secrets.readers["postgres"].path,
            memory_mib=file.postgres.memory_mib,
        ),
        redis=StoreCopy(
            image=settings.images["redis"],
            config_dir=redis,
            secrets_dir=secrets.readers["redis"].path,
            memory_mib=file.redis.memory_mib,
        ),
        before=None
        if live is None
        else Before(
            image=live.image,
            envs=dict(live.envs),
            secrets_dir=secrets.readers["api"].path,
            memory_mib=live.memory_mib,
        ),
    )


def _is_kept(slot: SlotName, plan: Plan, recorded: Recorded | None) -> bool:
    """Whether this update must leave the slot's container alone, whatever the code now makes of it.

    The live one always. An idle one only if its form is older than what this code can declare: else
    its container is put right, for a failed release may have left another version in it.
    """
    if recorded is None:
        return False
    return slot == recorded.live or plan.slot(slot).form != FORM
