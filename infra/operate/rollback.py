"""Back to the version before in a second: the file first, then the state."""

from __future__ import annotations

import time

from pydantic import BaseModel, ConfigDict

from infra.attempt import begin
from infra.names import Names
from infra.operate.ledger import FOLDER
from infra.operate.place import place_of
from infra.operate.pulumi import Pulumi
from infra.operate.server import refused_by, run_script
from infra.operate.stack_file import read
from infra.steps.rotation import rotation_of
from infra.steps.route import turn_back

SCRIPT_S = 60


class Turned(BaseModel):
    """Which slot serves now, what it runs, and how long it took from the word to the first answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slot: str
    image: str
    seconds: float


def back_at_once(pulumi: Pulumi) -> Turned:
    """Turn the rotation to the other slot, if that is fit, and prove it through the proxy.

    Needs neither state nor secrets, so nothing is waited for. Raises GadError, and then the rotation is as it
    was. The state still says otherwise: `deploy.roll_back` comes after.
    """
    began = time.monotonic()
    place = place_of(pulumi.root, pulumi.stack)
    rotation = rotation_of(
        Names(stack=pulumi.stack, prefix=place.prefix),
        directory=f"{place.folder}/{FOLDER}",
        site=_site(pulumi),
    )
    done = run_script(place.server, turn_back(rotation), stdin=f"{begin().by}\n", limit_s=SCRIPT_S)
    if done.returncode != 0:
        raise refused_by(done, f"stack {pulumi.stack} cannot be turned back")
    slot, _, image = done.stdout.strip().splitlines()[-1].partition(" ")
    return Turned(slot=slot, image=image, seconds=round(time.monotonic() - began, 2))


def _site(pulumi: Pulumi) -> str:
    proxy = read(pulumi.root, pulumi.stack).get("proxy")
    return str(proxy["site"]) if isinstance(proxy, dict) else ""
