"""The API: two permanent slots, and the file that says which one is in rotation."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi_docker as docker
from pulumi import ComponentResource, Output, Resource, ResourceOptions

from infra.components.container import ContainerArgs, Declared, Health, Mount, declared, hardened_container
from infra.components.host import Host, host_command
from infra.names import Names

UID = 10073
PORT = 8000
PRIVATE_PORT = 9000
FORM = 1  # raise it when the container's form below changes: a new form reaches people by a release

SlotName = Literal["blue", "green"]


@dataclass(frozen=True, kw_only=True)
class ApiSlotArgs:
    """One slot; `keep` says that this update must not replace it."""

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
            labels=args.names.labels(role, "personal"),
            networks=((args.names.network("data"), role), (args.names.network("edge"), role)),
            mounts=(
                Mount(kind="bind", source=args.secrets_dir, target="/run/gad/secrets"),
                # The directory, not the file in it: a file mount would keep showing the old file.
                Mount(kind="bind", source=args.release_dir, target="/run/gad/release"),
            ),
            tmpfs=("/tmp",),  # noqa: S108  (inside the container)
            workdir="/srv/gad",
            health=Health(
                test=("CMD", "/usr/bin/python3", "-I", "-S", "/usr/local/lib/gad/health.py"),
            ),
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
    """Where the host keeps the stack's release state."""

    host: Host
    path: str


class ReleaseDir(ComponentResource):
    """The directory both slots watch. It exists before they do; only the route writes into it."""

    path: str

    def __init__(self, name: str, args: ReleaseDirArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:app:ReleaseDir", name, None, opts)
        self.path = args.path
        quoted = shlex.quote(args.path)
        host_command(
            f"{name}-make",
            args.host,
            create=f"mkdir -p {quoted} && chmod 755 {quoted}",
            delete=f"rm -rf -- {quoted}",
            opts=ResourceOptions(parent=self),
        )
        self.register_outputs({"path": self.path})


@dataclass(frozen=True, kw_only=True)
class RouteArgs:
    """The slot that shall be in rotation, and what must stand before it is."""

    host: Host
    names: Names
    release_dir: ReleaseDir
    live: SlotName
    record: str  # both slots as they are once it has turned; the next update reads it from the state
    needs: tuple[Resource, ...]


class Route(ComponentResource):
    """Which slot is in rotation. Turning it is one atomic write; the proxy is never reloaded."""

    turned: Output[str]

    def __init__(self, name: str, args: RouteArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:app:Route", name, None, opts)
        turn = host_command(
            f"{name}-turn",
            args.host,
            create=_turn_script(args),
            stdin=args.record,
            opts=ResourceOptions(parent=self, depends_on=[args.release_dir, *args.needs]),
        )
        self.turned = turn.id
        self.register_outputs({"live": args.live})


def _turn_script(args: RouteArgs) -> str:
    """Write the live slot's name, flush, rename; turn back if it does not become ready in 15 s.

    The slots' account reads what is written, whatever the umask of a hardened server.
    """
    container = shlex.quote(args.names.container(f"api-{args.live}"))
    directory = shlex.quote(args.release_dir.path)
    return f"""set -eu
umask 022
cd {directory}
cat > .recorded.new
before=$(cat live 2>/dev/null || true)
turn() {{
  printf '%s' "$1" > .live.new
  sync
  mv -f .live.new live
}}
ready() {{
  docker exec {container} gad-probe {PORT} /health/ready
}}
turn {args.live}
tries=0
until ready >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -ge 30 ]; then
    echo "slot {args.live} did not become ready in rotation:" >&2
    ready >&2 || true
    if [ -n "$before" ]; then turn "$before"; fi
    exit 1
  fi
  sleep 0.5
done
mv -f .recorded.new recorded.json
"""
