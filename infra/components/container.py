"""The form every container of a stack has: a digest, no root, no writable root, no spare rights.

Not a component of its own: a function that gives a component its container, so that no component
can forget a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import pulumi_docker as docker
from pulumi import Output, Resource, ResourceOptions

from infra.components.host import Host, host_command

LOG_OPTS = {"max-file": "3", "max-size": "10m"}

# These edits are recorded by the provider as updates while the engine keeps the old value
# (observed with docker 5.2.0), so they are declared to be replacements.
SILENT_UPDATES = ["healthcheck", "init", "tmpfs", "cpuPeriod", "cpuQuota"]

# What a container is replaced for. A slot that must not be touched keeps its own values of these,
# while what can be mended in place (limits, a stopped container) still is.
REPLACING = [
    "capabilities",
    "command",
    "cpus",
    "entrypoints",
    "envs",
    "healthcheck",
    "image",
    "init",
    "labels",
    "logDriver",
    "logOpts",
    "mounts",
    "name",
    "networksAdvanced",
    "ports",
    "readOnly",
    "securityOpts",
    "shmSize",
    "tmpfs",
    "ulimits",
    "user",
    "workingDir",
]


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory of the host or a volume, inside the container."""

    source: str
    target: str
    kind: str  # bind | volume
    read_only: bool = True


@dataclass(frozen=True, kw_only=True)
class Port:
    """A published port; `ip` is always stated."""

    ip: str
    external: int
    internal: int
    protocol: str = "tcp"


@dataclass(frozen=True, kw_only=True)
class Health:
    """The engine's probe: liveness only, never readiness or rotation."""

    test: tuple[str, ...]
    interval_s: int = 5
    timeout_s: int = 3
    retries: int = 3
    start_period_s: int = 30

    @property
    def wait_s(self) -> int:
        """How long a start may take until it counts as failed: the probe's own patience and 10 s."""
        return self.start_period_s + self.retries * (self.interval_s + self.timeout_s) + 10


@dataclass(frozen=True, kw_only=True)
class ContainerArgs:
    """What differs between containers; everything else is the same for all."""

    host: Host
    name: str
    image: str
    uid: int
    labels: Mapping[str, str]
    networks: tuple[tuple[str, str], ...]  # (network, alias on it)
    mounts: tuple[Mount, ...]
    tmpfs: tuple[str, ...]
    workdir: str  # stated, or a refresh reads the image's and wants it gone
    health: Health
    memory_mib: int
    cpus: str
    pids: int
    grace_s: int  # from the stop signal to SIGKILL; longer than the process needs to finish
    envs: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()  # (name, address) beside those of its networks
    shm_mib: int = 64
    wait: bool = True  # whether the update goes on only once it is healthy


class Declared(TypedDict):
    """What was declared of a container, in plain values, for verification against the engine."""

    name: str
    image: str
    uid: int
    labels: dict[str, str]
    networks: list[str]
    mounts: list[dict[str, str | bool]]
    envs: list[str]
    ports: list[str]
    memory_mib: int
    cpus: str
    pids: int


def declared(args: ContainerArgs) -> Declared:
    """The facts that verification compares with `docker inspect`."""
    return Declared(
        name=args.name,
        image=args.image,
        uid=args.uid,
        labels=dict(args.labels),
        networks=sorted(network for network, _ in args.networks),
        mounts=[
            {"source": m.source, "target": m.target, "kind": m.kind, "read_only": m.read_only}
            for m in args.mounts
        ],
        envs=sorted(f"{key}={value}" for key, value in args.envs.items()),
        ports=[f"{p.ip}:{p.external}->{p.internal}/{p.protocol}" for p in args.ports],
        memory_mib=args.memory_mib,
        cpus=args.cpus,
        pids=args.pids,
    )


def _kept(args: ContainerArgs) -> list[str]:
    # Named only where there are any: what else is compared of a slot's form stays what it was.
    return [*REPLACING, "hosts"] if args.hosts else REPLACING


def hardened_container(
    name: str,
    args: ContainerArgs,
    *,
    parent: Resource,
    depends_on: list[Resource],
    keep: bool = False,
) -> docker.Container:
    """Declare the container and its process limit, and wait until it is healthy.

    `keep`: the container is not replaced whatever else changes; it is still mended in place.
    """
    user = f"{args.uid}:{args.uid}"
    container = docker.Container(
        name,
        name=args.name,
        image=args.image,
        user=user,
        working_dir=args.workdir,
        read_only=True,
        init=True,
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
        security_opts=["no-new-privileges:true"],
        envs=sorted(f"{key}={value}" for key, value in args.envs.items()),
        labels=[
            docker.ContainerLabelArgs(label=key, value=value) for key, value in sorted(args.labels.items())
        ],
        networks_advanced=[
            docker.ContainerNetworksAdvancedArgs(name=network, aliases=[alias])
            for network, alias in args.networks
        ],
        mounts=[
            docker.ContainerMountArgs(type=m.kind, source=m.source, target=m.target, read_only=m.read_only)
            for m in args.mounts
        ],
        # Owned by the process, closed to setuid and to running what was written there.
        tmpfs=dict.fromkeys(
            args.tmpfs, f"rw,noexec,nosuid,nodev,size=64m,mode=0700,uid={args.uid},gid={args.uid}"
        ),
        ports=[
            docker.ContainerPortArgs(internal=p.internal, external=p.external, ip=p.ip, protocol=p.protocol)
            for p in args.ports
        ],
        hosts=[docker.ContainerHostArgs(host=name, ip=address) for name, address in args.hosts] or None,
        healthcheck=docker.ContainerHealthcheckArgs(
            tests=list(args.health.test),
            interval=f"{args.health.interval_s}s",
            timeout=f"{args.health.timeout_s}s",
            start_period=f"{args.health.start_period_s}s",
            retries=args.health.retries,
        ),
        memory=args.memory_mib,
        memory_swap=args.memory_mib,  # stated together, else the second preview is not empty
        cpus=args.cpus,
        shm_size=args.shm_mib,
        ulimits=[docker.ContainerUlimitArgs(name="nofile", soft=16384, hard=16384)],
        log_driver="json-file",
        log_opts=LOG_OPTS,
        restart="unless-stopped",
        must_run=True,
        destroy_grace_seconds=args.grace_s,
        wait=args.wait,
        wait_timeout=args.health.wait_s,
        opts=ResourceOptions.merge(
            args.host.options(parent=parent, depends_on=depends_on),
            ResourceOptions(
                delete_before_replace=True,  # the name and the ports are fixed
                replace_on_changes=SILENT_UPDATES,
                ignore_changes=_kept(args) if keep else [],
            ),
        ),
    )
    # The Docker provider has no input for it; the engine takes it on a running container. Why one that is not
    # waited for here does not run is told by whoever waits for it.
    unless = Output.concat(
        " || [ \"$(docker inspect --format '{{.State.Status}} {{.RestartCount}}' ",
        container.id,
        ")\" != 'running 0' ]",
    )
    host_command(
        f"{name}-pids",
        args.host,
        create=Output.concat(
            *("docker update --pids-limit ", str(args.pids), " ", container.id, " >/dev/null"),
            *(() if args.wait else (unless,)),
        ),
        opts=ResourceOptions(parent=parent, depends_on=[container]),
    )
    return container
