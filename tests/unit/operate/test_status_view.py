"""What the engine says becomes a service; services become a verdict and one screen."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.operate import status_table
from infra.operate.outputs import ContainerDeclared
from infra.operate.status import Service, Status, VolumeSeen, describe, short_digest
from infra.operate.status_memory import kernel_memory

DIGEST = "registry/gad/redis@sha256:" + "0123456789ab" + "c" * 52
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def declared(image: str = DIGEST) -> ContainerDeclared:
    return ContainerDeclared(
        name="gad-dev-redis",
        image=image,
        uid=10071,
        labels={},
        networks=(),
        mounts=(),
        envs=(),
        ports=(),
        memory_mib=128,
        cpus="0.5",
        pids=64,
    )


def record(**state: Any) -> dict[str, Any]:
    usual = {
        "Status": "running",
        "Running": True,
        "StartedAt": "2026-01-02T01:02:03.123456789Z",
        "Health": {"Status": "healthy"},
    }
    return {
        "State": {**usual, **state},
        "Config": {"Image": DIGEST},
        "HostConfig": {"Memory": 128 * 1024**2},
        "RestartCount": 2,
    }


def service(role: str = "redis", **changes: Any) -> Service:
    usual = {
        "role": role,
        "name": f"gad-dev-{role}",
        "is_declared": True,
        "state": "running",
        "health": "healthy",
        "uptime_s": 3661,
        "memory_mib": 4.2,
        "limit_mib": 128,
        "restarts": 0,
        "image": "0123456789ab",
        "declared_image": "0123456789ab",
    }
    return Service(**{**usual, **changes})


def status(*services: Service, **changes: Any) -> Status:
    usual = {
        "stack": "dev",
        "prefix": "gad-dev",
        "host": "local",
        "is_declared": True,
        "interrupted": 0,
        "updating": None,
        "url": "https://localhost:8443",
        "http_url": "http://localhost:8080",
        "declared_slot": "blue",
        "slot": "blue",
        "services": services,
        "volumes": (VolumeSeen(role="redis", name="gad-dev-redis-data", exists=True, mib=None),),
    }
    return Status(**{**usual, **changes})


def shown(seen: Status) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False, color_system=None)
    console.print(status_table.render(seen))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_a_running_container_is_described() -> None:
    assert describe("redis", "gad-dev-redis", record(), declared(), memory_mib=4.2, now=NOW) == service(
        uptime_s=2 * 3600 + 2 * 60 + 2, restarts=2
    )


def test_a_missing_container_is_described() -> None:
    found = describe("redis", "gad-dev-redis", None, declared(), memory_mib=None, now=NOW)
    assert (found.state, found.health, found.uptime_s, found.image) == ("missing", "none", None, "")


def test_a_stopped_container_has_no_uptime_and_no_health() -> None:
    stopped = record(Status="exited", Running=False)
    found = describe("redis", "gad-dev-redis", stopped, declared(), memory_mib=None, now=NOW)
    assert (found.state, found.health, found.uptime_s) == ("exited", "none", None)


def test_short_digest() -> None:
    assert [short_digest(DIGEST), short_digest("redis:8")] == ["0123456789ab", "redis:8"]


@pytest.mark.parametrize(
    ("seen", "verdict", "reasons"),
    [
        (status(service()), "healthy", ()),
        (status(service(), service("api-blue", state="exited")), "degraded", ("api-blue is exited",)),
        (status(service(health="unhealthy")), "degraded", ("redis is unhealthy",)),
        (status(service(image="ffff")), "degraded", ("redis runs another image than declared",)),
        (status(service(), slot="green"), "degraded", ("slot green is in rotation, blue is declared",)),
        (status(service(), slot=None), "degraded", ("slot none is in rotation, blue is declared",)),
        (status(service("x", is_declared=False)), "degraded", ("gad-dev-x is not declared",)),
        (status(service(), is_declared=False), "degraded", ("nothing is declared yet",)),
        (status(service(), interrupted=2), "degraded", ("the last update was interrupted",)),
        (status(service(), interrupted=2, updating="ana (pid 1)"), "degraded", ("ana (pid 1)",)),
        (
            status(service(), volumes=(VolumeSeen(role="redis", name="v", exists=False, mib=None),)),
            "degraded",
            ("volume v is missing",),
        ),
        (status(service(state="missing")), "down", ("redis is missing",)),
        (status(is_declared=False), "down", ("nothing is declared yet",)),
    ],
)
def test_verdict(seen: Status, verdict: str, reasons: tuple[str, ...]) -> None:
    assert (seen.verdict, seen.reasons) == (verdict, reasons)


@pytest.mark.parametrize(
    ("seen", "line"),
    [
        (status(service()), "healthy: 1 of 1 services, slot blue in rotation, https://localhost:8443"),
        (
            status(service(), service("api-blue", state="exited")),
            "degraded: api-blue is exited. Mend it with `gad up dev`",
        ),
        (
            status(*(service(f"s{i}", health="starting") for i in range(6))),
            "degraded: s0 is starting; s1 is starting; s2 is starting; s3 is starting; 2 more."
            " Mend it with `gad up dev`",
        ),
        (
            status(service(), updating="ana on host (pid 7) is updating it"),
            "degraded: ana on host (pid 7) is updating it. Wait for it",
        ),
        (status(), "down: nothing of stack dev runs; its data is kept. Start it with `gad up dev`"),
        (status(volumes=()), "down: nothing of stack dev runs. Start it with `gad up dev`"),
    ],
)
def test_verdict_line(seen: Status, line: str) -> None:
    assert status_table.verdict(seen) == line


def test_one_screen() -> None:
    seen = status(
        service("api-blue"),
        service("redis", state="exited", health="none", uptime_s=None, memory_mib=None, image="ffffffffffff"),
    )
    assert shown(seen) == (
        "service     state    health   image                            up  memory MiB  restarts\n"
        "api-blue ●  running  healthy  0123456789ab                 1h 01m       4/128         0\n"
        "redis       exited   none     ffffffffffff ≠ 0123456789ab       -           -         0\n"
        "\n"
        "stack    dev (gad-dev) on local\n"
        "urls     https://localhost:8443  http://localhost:8080 (redirects)\n"
        "slot     blue\n"
        "volumes  gad-dev-redis-data"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (5, "0m 05s"), (65, "1m 05s"), (3661, "1h 01m"), (90061, "1d 1h")],
)
def test_age(seconds: int | None, text: str) -> None:
    assert status_table.age(seconds) == text


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        (
            "4:memory:/docker/abc\n1:name=systemd:/docker/abc\n",
            {
                "memory/docker/abc/memory.usage_in_bytes": "10485760\n",
                "memory/docker/abc/memory.stat": "inactive_file 1\ntotal_inactive_file 2097152\n",
            },
        ),
        (
            "0::/system.slice/docker-abc.scope\n",
            {
                "system.slice/docker-abc.scope/memory.current": "10485760\n",
                "system.slice/docker-abc.scope/memory.stat": "anon 5\ninactive_file 2097152\n",
            },
        ),
    ],
    ids=["v1", "v2"],
)
def test_memory_is_read_from_either_version_of_cgroups(
    tmp_path: Path, membership: str, files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert kernel_memory(membership, tmp_path) == 8.0
