"""Volumes: there, labelled, and protected from an update's mistake."""

from __future__ import annotations

from engine import Engine
from stack import Stack

from infra.operate.outputs import StackOutputs

SUBJECT = "volumes"
VOLUME = "docker:index/volume:Volume"


def test_exactly_the_declared_volumes_exist(engine: Engine, outputs: StackOutputs) -> None:
    """Exactly the declared volumes carry the stack's label.

    Remedy: `gad adopt` takes over a volume that the state does not know; nothing here deletes one.
    """
    assert sorted(engine.volumes) == sorted(outputs.volumes.values())


def test_volume_labels(engine: Engine, outputs: StackOutputs, volume: str) -> None:
    """Is labelled with stack, prefix, role and the data class of its service.

    Remedy: labels of a volume cannot be changed: back up, `gad clean`, restore.
    """
    assert engine.volumes[outputs.volumes[volume]]["Labels"] == {
        "gad.data-class": outputs.containers[volume].labels["gad.data-class"],
        "gad.prefix": outputs.prefix,
        "gad.role": volume,
        "gad.stack": outputs.stack,
    }


def test_volume_is_used(engine: Engine, outputs: StackOutputs, volume: str) -> None:
    """Is mounted, writable, by exactly its service.

    Remedy: `docker ps --filter volume=…` shows who else has it; two writers destroy data.
    """
    name = outputs.volumes[volume]
    users = [
        (each["Names"][0].lstrip("/"), mount["RW"])
        for client in engine.clients.values()
        for each in client.api.containers(all=True, filters={"volume": name})
        for mount in each["Mounts"]
        if mount.get("Name") == name
    ]
    assert users == [(outputs.containers[volume].name, True)]


def test_volume_is_protected(stack: Stack, volume: str) -> None:
    """Is protected in the state, and stays even if the state forgets it.

    Remedy: `gad up`; never `pulumi state unprotect` a volume by hand.
    """
    known = [
        (each.get("protect", False), each.get("retainOnDelete", False))
        for each in stack.resources
        if each["type"] == VOLUME and each["id"] == stack.outputs.volumes[volume]
    ]
    assert known == [(True, True)]
