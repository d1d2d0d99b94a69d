"""What long-lived services have in common: configuration on the host, a volume, one hardened container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi_docker as docker
from pulumi import ComponentResource, Resource, ResourceOptions

from infra.components.container import (
    ContainerArgs,
    Declared,
    Health,
    Mount,
    Port,
    declared,
    hardened_container,
)
from infra.components.files import HostFiles, HostFilesArgs
from infra.components.host import Host
from infra.components.volume import data_volume
from infra.names import DataClass, Names


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """What a stack decides. `config` is the archive of the service's files, named by `config_revision`."""

    host: Host
    names: Names
    image: str
    host_dir: str
    config: str
    config_revision: str
    memory_mib: int
    cpus: str
    pids: int
    needs: tuple[Resource, ...]


@dataclass(frozen=True, kw_only=True)
class StoreArgs(ServiceArgs):
    """Of a service on the data network that has secrets."""

    network: docker.Network
    network_role: str
    secrets: HostFiles
    publish_at: str | None  # the address where another server reaches it; None: on its network only

    def publishes(self, port: int) -> tuple[Port, ...]:
        """Where `port` is reached beside its network."""
        return (Port(ip=self.publish_at, external=port, internal=port),) if self.publish_at else ()

    @property
    def secrets_mount(self) -> Mount:
        """Its secrets, for a process of its own to read."""
        return Mount(kind="bind", source=self.secrets.path, target="/run/gad/secrets")


@dataclass(frozen=True, kw_only=True)
class Form:
    """What the service itself decides. `config_at` and `data_at` are paths in its container."""

    role: str
    data_class: DataClass
    uid: int
    networks: tuple[str, ...]  # roles; its alias on each is its own role
    config_at: str
    data_at: str
    tmpfs: tuple[str, ...]
    workdir: str
    health: Health
    grace_s: int
    mounts: tuple[Mount, ...] = ()
    ports: tuple[Port, ...] = ()
    shm_mib: int = 64
    envs: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Resource, ...] = ()


class Service(ComponentResource):
    """A service by its role's name on its networks, with its configuration read-only and data that stays."""

    server: docker.Container
    declared: Declared
    config_dir: str  # on the host

    def _run(self, name: str, args: ServiceArgs, form: Form) -> None:
        """Declare its parts as `name`-data, `name`-config and `name`-server."""
        names = args.names
        volume = data_volume(
            f"{name}-data", args.host, names, role=form.role, parent=self, data_class=form.data_class
        )
        config = HostFiles(
            f"{name}-config",
            HostFilesArgs(
                host=args.host,
                parent_dir=f"{args.host_dir}/config/{form.role}",
                revision=args.config_revision,
                archive=args.config,
                secret=False,
            ),
            opts=ResourceOptions(parent=self),
        )
        self.config_dir = config.path
        container = ContainerArgs(
            host=args.host,
            name=names.container(form.role),
            image=args.image,
            uid=form.uid,
            labels=names.labels(form.role, form.data_class),
            networks=tuple((names.network(role), form.role) for role in form.networks),
            mounts=(
                Mount(kind="bind", source=config.path, target=form.config_at),
                *form.mounts,
                Mount(kind="volume", source=names.volume(form.role), target=form.data_at, read_only=False),
            ),
            tmpfs=form.tmpfs,
            workdir=form.workdir,
            health=form.health,
            memory_mib=args.memory_mib,
            cpus=args.cpus,
            pids=args.pids,
            grace_s=form.grace_s,
            ports=form.ports,
            shm_mib=form.shm_mib,
            envs=form.envs,
        )
        self.declared = declared(container)
        self.server = hardened_container(
            f"{name}-server", container, parent=self, depends_on=[*form.needs, volume, config, *args.needs]
        )
        self.register_outputs({})
