"""Which slot gets what. Pure: the decision about a release, without a word to any server.

A slot is everything that a person can change about the API: its image, its settings, its secrets'
revision, its limits. A release never changes the slot that is live: it fills the idle one and then
turns to it (deploy reference, "Plan").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

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


class Recorded(BaseModel):
    """What the stack's last finished update left: both slots and the one in rotation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    live: SlotName
    blue: Slot
    green: Slot

    def slot(self, name: SlotName) -> Slot:
        """The slot of that name."""
        return self.blue if name == "blue" else self.green


class Plan(Recorded):
    """Both slots and the one in rotation after this update, and why."""

    action: Action

    @property
    def recorded(self) -> Recorded:
        """What the next update will find recorded once this one has finished."""
        return Recorded(live=self.live, blue=self.blue, green=self.green)


def idle_of(live: SlotName) -> SlotName:
    """The slot that is out of rotation while `live` is in it."""
    return "green" if live == "blue" else "blue"


def plan_release(desired: Slot, recorded: Recorded | None) -> Plan:
    """Decide what each slot runs and which one is live.

    Nothing recorded: both slots get the desired version, blue is live. The live slot already runs
    it: nothing changes. The idle slot does: only the rotation turns (a rollback is this case).
    Otherwise the idle slot is replaced and the rotation turns to it; the live slot stays as it is.
    """
    if recorded is None:
        return Plan(action="first", live="blue", blue=desired, green=desired)
    idle = idle_of(recorded.live)
    if desired == recorded.slot(recorded.live):
        return Plan(action="none", live=recorded.live, blue=recorded.blue, green=recorded.green)
    if desired == recorded.slot(idle):
        return Plan(action="flip", live=idle, blue=recorded.blue, green=recorded.green)
    slots = {recorded.live: recorded.slot(recorded.live), idle: desired}
    return Plan(action="release", live=idle, blue=slots["blue"], green=slots["green"])
