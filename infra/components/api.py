"""The API: two permanent slots, and the directory with the file that says which one is in rotation."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi_docker as docker
from pulumi import ComponentResource, Resource, ResourceOptions

from infra.components.container import ContainerArgs, Declared, Health, Mount, declared, hardened_container
from infra.components.host import Host, host_command
from infra.names import Names
from infra.steps.rotation import ATTEMPT_LABEL

UID = 10073
PORT = 8000
PRIVATE_PORT = 9000

SlotName = Literal["blue", "green"]

HEALTH = Health(test=("CMD", "/usr/bin/python3", "-I", "-S", "/usr/local/lib/gad/health.py"))


@dataclass(frozen=True, kw_only=True)
class ApiSlotArgs:
    """One slot; `keep` says that this update must not replace it, `attempt` which one has filled it."""

    host: Host
    names: Names
    slot: SlotName
    image: str
    envs: Mapping[str, str]
    secrets_dir: str
    release_dir: str
    memory_mib: int
    cpus: str
    pids: int
    keep: bool
    attempt: str
    needs: tuple[Resource, ...]
    hosts: tuple[tuple[str, str], ...]  # name and address of what is on another server


class ApiSlot(ComponentResource):
    """One of the two API slots, blue or green. Its name on the network outlives every release."""

    server: docker.Container
    declared: Declared

    def __init__(self, name: str, args: ApiSlotArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:app:ApiSlot", name, None, opts)
        role = f"api-{args.slot}"
        container = ContainerArgs(
            host=args.host,
            name=args.names.container(role),
            image=args.image,
            uid=UID,
            # A slot that another attempt had filled is made anew: if that one failed, nothing is known of it.
            labels={**args.names.labels(role, "personal"), ATTEMPT_LABEL: args.attempt},
            networks=((args.names.network("data"), role), (args.names.network("edge"), role)),
            mounts=(
                Mount(kind="bind", source=args.secrets_dir, target="/run/gad/secrets"),
                # The directory, not the file in it: a file mount would keep showing the old file.
                Mount(kind="bind", source=args.release_dir, target="/run/gad/release"),
            ),
            tmpfs=("/tmp",),  # noqa: S108  (inside the container)
            workdir="/srv/gad",
            health=HEALTH,
            wait=False,  # the smoke step does, and says at once why a slot does not come
            memory_mib=args.memory_mib,
            cpus=args.cpus,
            pids=args.pids,
            grace_s=30,  # longer than the server's own 25 s drain
            envs={
                **args.envs,
                "GAD_LIVE_SLOT_FILE": "/run/gad/release/live",
                "GAD_PORT": str(PORT),
                "GAD_PRIVATE_PORT": str(PRIVATE_PORT),
                "GAD_SLOT": args.slot,
            },
            hosts=args.hosts,
        )
        self.declared = declared(container)
        self.server = hardened_container(
            f"{name}-server", container, parent=self, depends_on=list(args.needs), keep=args.keep
        )
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class ReleaseDirArgs:
    """Where the host keeps the stack's release state, and the program that watches a slot from inside."""

    host: Host
    path: str
    watch: str


class ReleaseDir(ComponentResource):
    """The directory both slots watch. It exists before they do; only a release's steps write into it."""

    path: str

    def __init__(self, name: str, args: ReleaseDirArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:app:ReleaseDir", name, None, opts)
        self.path = args.path
        quoted = shlex.quote(args.path)
        host_command(
            f"{name}-make",
            args.host,
            create=f"""set -eu
umask 022
mkdir -p {quoted}
chmod 755 {quoted}
cd {quoted}
cat > .watch.new
mv -f .watch.new watch.py
""",
            delete=f"rm -rf -- {quoted}",
            stdin=args.watch,
            opts=ResourceOptions(parent=self),
        )
        self.register_outputs({"path": self.path})
