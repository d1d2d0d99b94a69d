"""How much memory containers use, counted as `docker stats` counts it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
from docker.errors import APIError

MIB = 1024**2
CGROUPS = Path("/sys/fs/cgroup")


def memory_in_use(
    client: docker.DockerClient, pids: Mapping[str, int], *, is_local: bool
) -> dict[str, float]:
    """MiB by container name, for running containers given by name and first process.

    On this machine the kernel is asked, at once; the engine answers only once a second (seen on 20.10,
    `one-shot` or not), so elsewhere all containers are asked for at the same time.
    """
    here = {name: _from_kernel(pid) for name, pid in pids.items()} if is_local else {}
    found = {name: used for name, used in here.items() if used is not None}
    rest = [name for name in pids if name not in found]
    if rest:
        with ThreadPoolExecutor(max_workers=len(rest)) as threads:
            answers = threads.map(lambda name: (name, _from_engine(client, name)), rest)
            found |= {name: used for name, used in answers if used is not None}
    return found


def _from_kernel(pid: int) -> float | None:
    try:
        return kernel_memory(Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"), CGROUPS)
    except OSError:
        return None  # gone, or the engine runs in a virtual machine


def kernel_memory(membership: str, root: Path) -> float | None:
    """MiB used by the control group in `membership` (/proc/PID/cgroup), under cgroups v1 or v2.

    Raises OSError if `root` does not hold it.
    """
    lines = [line.split(":", 2) for line in membership.splitlines()]
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            group = root / "memory" / path.lstrip("/")
            return _used(group, "memory.usage_in_bytes", "total_inactive_file")
    for number, _, path in lines:
        if number == "0":
            return _used(root / path.lstrip("/"), "memory.current", "inactive_file")
    return None


def _used(group: Path, usage: str, cache: str) -> float:
    used = int((group / usage).read_text(encoding="ascii"))
    details = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    return round((used - int(details.get(cache, 0))) / MIB, 1)


def _from_engine(client: docker.DockerClient, name: str) -> float | None:
    try:
        memory = client.api.stats(name, stream=False, one_shot=True)["memory_stats"]
    except APIError:
        return None  # it has just stopped
    if "usage" not in memory:
        return None
    details = memory.get("stats", {})
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return round(float(memory["usage"] - cache) / MIB, 1)
