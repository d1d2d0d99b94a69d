"""What a stack is doing right now: services, the slot in rotation, volumes, and one verdict."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import docker
from docker.errors import NotFound
from pydantic import BaseModel, ConfigDict, ValidationError

from infra import claims
from infra.errors import GadError
from infra.image_lock import read_lock
from infra.names import DATA_ROLES, LABEL_PREFIX, LABEL_ROLE
from infra.operate import stack_file
from infra.operate.docker_engine import connect
from infra.operate.live_slot import live_slot
from infra.operate.locks import Lock, lock_folder
from infra.operate.outputs import ContainerDeclared, StackOutputs, read_outputs
from infra.operate.place import data_server_of, place_of, server_of
from infra.operate.pulumi import Deployment, Pulumi
from infra.operate.status_memory import memory_in_use
from infra.ssh import SshAccess

MIB = 1024**2

Verdict = Literal["healthy", "degraded", "down"]


class _Seen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Service(_Seen):
    """One container, declared or found under the stack's label."""

    role: str
    name: str
    is_declared: bool
    state: str  # the engine's word: running, exited, created, restarting, paused, dead; or missing
    health: str  # healthy, unhealthy, starting, none
    uptime_s: int | None
    memory_mib: float | None  # without what the kernel can drop at once (inactive file cache)
    limit_mib: int | None
    restarts: int
    image: str  # first 12 digits of the digest it runs
    declared_image: str  # the same of the declared one; empty if undeclared


class VolumeSeen(_Seen):
    """A volume of the stack; `mib` only when sizes were asked for."""

    role: str
    name: str
    exists: bool
    mib: float | None


class Status(_Seen):
    """A stack at one moment. Before its first update nothing is known to be declared."""

    stack: str
    prefix: str | None  # None before the stack has claimed one: nothing can be there then
    host: str
    data_host: str | None = None  # of PostgreSQL and Redis, if they are on another server
    is_declared: bool
    interrupted: int  # operations that an update had begun and not ended
    updating: str | None  # who is updating it now
    url: str | None
    http_url: str | None
    declared_slot: str | None
    slot: str | None  # as the host's file names it
    asked: str | None = None  # digest of the API's image in the stack file, if another one is live
    services: tuple[Service, ...]
    volumes: tuple[VolumeSeen, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """All that is not as it should be, each in a few words."""
        found = [] if self.updating is None else [self.updating]
        if self.updating is None and self.interrupted:
            found.append("the last update was interrupted")
        if not self.is_declared:
            found.append("nothing is declared yet")
        for service in self.services:
            found += _reasons(service, is_known=self.is_declared)
        if self.is_declared and self.slot != self.declared_slot:
            found.append(f"slot {self.slot or 'none'} is in rotation, {self.declared_slot} is declared")
        found += [f"volume {volume.name} is missing" for volume in self.volumes if not volume.exists]
        return tuple(found)

    @property
    def verdict(self) -> Verdict:
        """`down` if nothing runs, `healthy` if nothing is wrong, else `degraded`."""
        if all(service.state != "running" for service in self.services):
            return "down"
        return "degraded" if self.reasons else "healthy"


def _reasons(service: Service, *, is_known: bool) -> list[str]:
    if is_known and not service.is_declared:
        return [f"{service.name} is not declared"]
    if service.state != "running":
        return [f"{service.role} is {service.state}"]
    found = [] if service.health == "healthy" else [f"{service.role} is {service.health}"]
    if is_known and service.image != service.declared_image:
        found.append(f"{service.role} runs another image than declared")
    return found


def status(pulumi: Pulumi, *, sizes: bool = False) -> Status:
    """Look at a stack; changes nothing. `sizes` asks the engine to measure volumes, which may take long.

    Raises GadError if the engine does not answer or the state cannot be read.
    """
    with ThreadPoolExecutor(max_workers=1) as background:
        # The engine of the state takes half a second to start; meanwhile the nearest host is asked.
        exported = background.submit(_deployment, pulumi)
        wanted = server_of(pulumi.root, pulumi.stack).access
        client = connect() if wanted is None else None
        deployment = exported.result()
    outputs = read_outputs(pulumi.stack, deployment.outputs) if deployment.outputs else None
    server = outputs.server if outputs is not None else wanted
    if client is None or server is not None:
        client = connect(server)
    second = outputs.data_server if outputs is not None else _data_server(pulumi)
    engines = [(client, server is None)] + ([(connect(second), False)] if second is not None else [])
    prefix = outputs.prefix if outputs is not None else _prefix(pulumi, server)
    declared = outputs.containers if outputs is not None else {}
    volumes = outputs.volumes if outputs is not None else {}
    services: tuple[Service, ...] = ()
    found: tuple[VolumeSeen, ...] = ()
    for engine, is_local in engines if prefix else []:
        on_data = engine is not client
        here = _of_machine(declared, on_data) if second is not None else declared
        services += _services(engine, prefix or "", here, is_local=is_local)
        kept = _of_machine(volumes, on_data) if second is not None else volumes
        found += _volumes(engine, prefix or "", kept, sizes=sizes)
    return Status(
        stack=pulumi.stack,
        prefix=prefix,
        host=server.url if server is not None else "local",
        data_host=second.url if second is not None else None,
        is_declared=outputs is not None,
        interrupted=len(deployment.pending_operations),
        updating=_update_under_way(pulumi),
        url=outputs.url if outputs is not None else None,
        http_url=outputs.http_url if outputs is not None else None,
        declared_slot=outputs.release.live if outputs is not None else None,
        slot=live_slot(client, [service.name for service in services if service.role.startswith("api-")]),
        asked=_asked(pulumi, outputs) if outputs is not None else None,
        services=services,
        volumes=found,
    )


def _asked(pulumi: Pulumi, outputs: StackOutputs) -> str | None:
    """What the next release would be about, as far as that is no secret."""
    stated = stack_file.read(pulumi.root, pulumi.stack).get("images")
    images = stated if isinstance(stated, dict) else {}
    built = read_lock(pulumi.root).get("app") if images.get("source") == "local" else None
    wanted = images.get("app") or (built.digest if built is not None else None)
    release = outputs.release
    return short_digest(str(wanted)) if wanted and wanted != release.slot(release.live).image else None


T = TypeVar("T")


def _of_machine(declared: Mapping[str, T], on_data: bool) -> Mapping[str, T]:
    return {role: each for role, each in declared.items() if (role in DATA_ROLES) is on_data}


def _data_server(pulumi: Pulumi) -> SshAccess | None:
    second = data_server_of(pulumi.root, pulumi.stack)
    return None if second is None else second.access


def _update_under_way(pulumi: Pulumi) -> str | None:
    for file in sorted(lock_folder(pulumi.root / ".gad" / "state", pulumi.stack).glob("*.json")):
        try:
            lock = Lock.model_validate_json(file.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            continue  # it has just ended; `gad up` says what is wrong with a lock that stays
        since = lock.timestamp.astimezone(UTC)
        return (
            f"{lock.username} on {lock.hostname} (pid {lock.pid}) is updating it since {since:%H:%M:%S} UTC"
        )
    return None


def _prefix(pulumi: Pulumi, server: SshAccess | None) -> str | None:
    """The prefix of an undeclared stack; None if it has claimed none here: a look claims nothing."""
    if server is not None:
        return place_of(pulumi.root, pulumi.stack).prefix
    try:
        known = claims.Claims.model_validate_json(claims.claims_file().read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        known = claims.Claims()
    found = claims.find(known, stack=pulumi.stack, checkout=str(pulumi.root))
    return found.prefix if found is not None else None


def _deployment(pulumi: Pulumi) -> Deployment:
    """The state; an empty one if the stack was never made."""
    try:
        return pulumi.deployment()
    except GadError:
        if pulumi.exists():
            raise
        return Deployment()


def _services(
    client: docker.DockerClient, prefix: str, declared: Mapping[str, ContainerDeclared], *, is_local: bool
) -> tuple[Service, ...]:
    listed = client.api.containers(all=True, filters={"label": [f"{LABEL_PREFIX}={prefix}"]})
    roles = {each["Names"][0].lstrip("/"): each["Labels"].get(LABEL_ROLE, "") for each in listed}
    records = {name: record for name in roles if (record := _inspect(client, name)) is not None}
    pids = {name: r["State"]["Pid"] for name, r in records.items() if r["State"]["Running"]}
    used = memory_in_use(client, pids, is_local=is_local)
    now = datetime.now(UTC)
    known = {container.name: (role, container) for role, container in declared.items()}
    strangers = {name: (roles[name] or name, None) for name in sorted(set(roles) - set(known))}
    return tuple(
        describe(role, name, records.get(name), container, memory_mib=used.get(name), now=now)
        for name, (role, container) in {**known, **strangers}.items()
    )


def _inspect(client: docker.DockerClient, name: str) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = client.api.inspect_container(name)
    except NotFound:
        return None  # it has just gone
    return record


def describe(
    role: str,
    name: str,
    record: Mapping[str, Any] | None,
    declared: ContainerDeclared | None,
    *,
    memory_mib: float | None,
    now: datetime,
) -> Service:
    """A service out of the engine's record of it, None if there is no such container. Pure."""
    wanted = short_digest(declared.image) if declared is not None else ""
    if record is None:
        return Service(
            role=role,
            name=name,
            is_declared=declared is not None,
            state="missing",
            health="none",
            uptime_s=None,
            memory_mib=None,
            limit_mib=None,
            restarts=0,
            image="",
            declared_image=wanted,
        )
    state = record["State"]
    started = datetime.fromisoformat(state["StartedAt"][:19]).replace(tzinfo=UTC)
    return Service(
        role=role,
        name=name,
        is_declared=declared is not None,
        state=state["Status"],
        health=state.get("Health", {}).get("Status", "none") if state["Running"] else "none",
        uptime_s=max(0, int((now - started).total_seconds())) if state["Running"] else None,
        memory_mib=memory_mib,
        limit_mib=record["HostConfig"]["Memory"] // MIB or None,
        restarts=record["RestartCount"],
        image=short_digest(record["Config"]["Image"]),
        declared_image=wanted,
    )


def short_digest(image: str) -> str:
    """The first 12 digits of an image's digest; the whole reference if it has none."""
    return image.partition("@sha256:")[2][:12] or image


def _volumes(
    client: docker.DockerClient, prefix: str, declared: Mapping[str, str], *, sizes: bool
) -> tuple[VolumeSeen, ...]:
    filters = {"label": [f"{LABEL_PREFIX}={prefix}"]}
    found = {each["Name"]: each["Labels"] for each in client.api.volumes(filters=filters)["Volumes"] or []}
    measured: dict[str, float] = {}
    if sizes:
        usage = client.df()["Volumes"] or []
        measured = {each["Name"]: round(each["UsageData"]["Size"] / MIB, 1) for each in usage}
    roles = {name: role for role, name in declared.items()}
    return tuple(
        VolumeSeen(
            role=roles.get(name) or found[name].get(LABEL_ROLE, name),
            name=name,
            exists=name in found,
            mib=measured.get(name),
        )
        for name in sorted({*roles, *found})
    )
