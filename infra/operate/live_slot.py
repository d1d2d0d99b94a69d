"""Which slot a machine has in rotation, by the file that its containers see."""

from __future__ import annotations

import io
import tarfile
from contextlib import closing

import docker
from docker.errors import NotFound

from infra.operate.docker_engine import connect
from infra.operate.outputs import StackOutputs

LIVE_FILE = "/run/gad/release/live"


def serving(outputs: StackOutputs) -> str:
    """Name of the container in rotation on the stack's machine; the declared one if nobody can tell.

    The two differ after a release that failed. Raises GadError if the engine does not answer.
    """
    slots = {role: each.name for role, each in outputs.containers.items() if role.startswith("api-")}
    with closing(connect(outputs.server)) as client:
        found = live_slot(client, [*slots.values()])
    return slots.get(f"api-{found}", slots[outputs.live])


def live_slot(client: docker.DockerClient, slots: list[str]) -> str | None:
    """The slot that the host's file names, read through a container that mounts it, running or not."""
    for name in slots:
        try:
            chunks, _ = client.api.get_archive(name, LIVE_FILE)
        except NotFound:
            continue
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            member = archive.extractfile(archive.getmembers()[0])
            return member.read().decode(errors="replace").strip() if member is not None else None
    return None
