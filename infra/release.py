"""Which slot gets what. Pure: the decision about a release, without a word to any server.

A slot is everything that a person can change about the API: its image, its settings, its secrets'
revision, its limits. A release never changes the slot that is live: it fills the idle one and then
turns to it (deploy reference, "Plan").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

SlotName = Literal["blue", "green"]
SLOTS: tuple[SlotName, SlotName] = ("blue", "green")
Action = Literal["first", "none", "flip", "release"]


class Slot(BaseModel):
    """What one API slot runs. Two equal slots answer alike, whichever is live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str  # name@sha256:…
    envs: tuple[tuple[str, str], ...]  # public settings only, sorted; secrets are files
    secrets_dir: str  # named by the revision of what is in it
    memory_mib: int
    cpus: str
    pids: int
    form: int  # revision of the container's form in components/api.py
    hosts: tuple[tuple[str, str], ...] = ()  # name and address of what is on another server, sorted

    @model_serializer(mode="wrap")
    def _without_no_hosts(self, usual: SerializerFunctionWrapHandler) -> Mapping[str, object]:
        """A slot of a stack on one server is written as it was before there could be two."""
        written: dict[str, object] = usual(self)
        if not self.hosts:
            del written["hosts"]
        return written

    @property
    def revision(self) -> str:
        """A name for exactly this slot (12 hexadecimal digits)."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


class Attempt(BaseModel):
    """One try at a release, and who made it. Another id makes each step of the release run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-z]{0,32}$")
    by: str = Field(pattern=r"^[\w.@-]*$")  # account@host; it goes through shells and into the ledger


UNTRIED = Attempt(id="", by="")


class Recorded(BaseModel):
    """What the last finished update left: both slots, the one in rotation, and the tries behind them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    live: SlotName
    blue: Slot
    green: Slot
    attempt: Attempt = UNTRIED  # that turned to `live`
    blue_attempt: str = ""  # that filled the slot; a label on its container
    green_attempt: str = ""
    schema_image: str = ""  # whose migrations ran last; a way back leaves the schema as it is

    def slot(self, name: SlotName) -> Slot:
        """The slot of that name."""
        return self.blue if name == "blue" else self.green

    @property
    def migrated_image(self) -> str:
        """Whose migrations ran last."""
        return self.schema_image or self.slot(self.live).image

    def attempt_of(self, name: SlotName) -> str:
        """The id of the try that filled the slot."""
        return self.blue_attempt if name == "blue" else self.green_attempt


class Plan(Recorded):
    """Both slots and the one in rotation after this update, and why."""

    action: Action

    @property
    def recorded(self) -> Recorded:
        """What the next update will find recorded once this one has finished."""
        return Recorded.model_validate({name: getattr(self, name) for name in Recorded.model_fields})


def idle_of(live: SlotName) -> SlotName:
    """The slot that is out of rotation while `live` is in it."""
    return "green" if live == "blue" else "blue"


def plan_release(desired: Slot, recorded: Recorded | None, attempt: Attempt) -> Plan:
    """Decide what each slot runs and which one is live.

    Nothing recorded: both slots get the desired version, blue is live. The live slot already runs
    it: nothing changes, and `attempt` counts for nothing. The idle slot does: only the rotation turns
    (a rollback is this case), and the schema stays. Otherwise the idle slot is replaced and the rotation
    turns to it; the live slot stays as it is.
    """
    if recorded is None:
        return Plan(
            action="first",
            live="blue",
            blue=desired,
            green=desired,
            attempt=attempt,
            blue_attempt=attempt.id,
            green_attempt=attempt.id,
            schema_image=desired.image,
        )
    idle = idle_of(recorded.live)
    if desired == recorded.slot(recorded.live):
        return _planned(recorded, "none")
    if desired == recorded.slot(idle):
        return _planned(recorded, "flip", live=idle, attempt=attempt)
    filled: dict[str, object] = {idle: desired, f"{idle}_attempt": attempt.id}
    if desired.image not in (recorded.blue.image, recorded.green.image):
        filled["schema_image"] = desired.image  # one that has been live already fits the schema as it is
    return _planned(recorded, "release", live=idle, attempt=attempt, **filled)


def _planned(recorded: Recorded, action: Action, **changes: object) -> Plan:
    kept = {name: getattr(recorded, name) for name in Recorded.model_fields}
    return Plan.model_validate({**kept, **changes, "action": action})
