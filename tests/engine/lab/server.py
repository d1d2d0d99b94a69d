"""A lab for tests: made by `gad lab`'s own code, one for each process of a run, removed at its end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.image_lock import read_lock
from infra.operate import lab_engine
from infra.operate.images.build import build_images
from infra.operate.images.progress import reporting
from infra.operate.lab import Lab

ROOT = Path(__file__).resolve().parents[3]
DOCKER = (
    "export DEBIAN_FRONTEND=noninteractive; apt-get -q update"
    " && apt-get -q -y -o Acquire::Retries=3 install --no-install-recommends docker.io docker-cli"
)
APT_S = 300  # measured: 21 s beside other tests; a slow mirror gets time


def image(name: str) -> str:
    """An image of ours by digest, as the registry has it; the labs' fixtures see that it is built."""
    return read_lock(ROOT).require(name).digest


def name_of(purpose: str) -> str:
    """A name that only this process uses, such as `test-lab-4711`."""
    return f"test-{purpose}-{os.getpid()}"


@contextmanager
def lab_server(purpose: str) -> Iterator[Lab]:
    """A bare lab; images are built if need be. What killed runs left behind is removed first."""
    with reporting() as reporter:
        build_images(ROOT, reporter, ["lab", "redis"])  # redis: something to run on it
    _remove_left_behind(purpose)
    made = lab_engine.up(ROOT, name_of(purpose), print)
    try:
        yield made
    finally:
        lab_engine.down(ROOT, made.name.name)


def on(machine: Lab, script: str, *, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a script on the lab as its root, over SSH; the exit code is the caller's to judge."""
    access = machine.access
    return subprocess.run(
        ["ssh", *access.options, "-p", str(access.port), "-l", access.user, "--", access.address, script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def said(machine: Lab, script: str, *, timeout_s: float = 60) -> str:
    """What a script that must succeed prints on the lab."""
    done = on(machine, script, timeout_s=timeout_s)
    assert done.returncode == 0, f"{script}: {done.stdout[-500:]}{done.stderr[-500:]}"
    return done.stdout.strip()


def install_docker(machine: Lab) -> None:
    """Debian's own packages, as a host deploy takes them."""
    said(machine, DOCKER, timeout_s=APT_S)


def _remove_left_behind(purpose: str) -> None:
    for each in lab_engine.labs(ROOT):
        kind, _, pid = each.name.name.rpartition("-")
        if kind == f"test-{purpose}" and pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            lab_engine.down(ROOT, each.name.name)
