"""The Docker engine: is it there, and can it be brought up?"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException

from infra.errors import GadError
from infra.toolchain import debian
from infra.toolchain.cache import cache_root, locked
from infra.toolchain.progress import Reporter

SOCKET = Path("/var/run/docker.sock")
# dockerd 20.10, Debian 12: the oldest engine the project is tested with.
OLDEST_API = (1, 41)
# A dockerd that was killed restores every container first; measured 2 s for ten, so this is generous.
START_S = 90.0
_DOCKER_PID = Path("/var/run/docker.pid")
_PID_FILES = {
    _DOCKER_PID: "dockerd",
    Path("/var/run/docker/containerd/containerd.pid"): "containerd",
}


@dataclass(frozen=True)
class DockerEngine:
    """An engine that answered. `started` is True when we had to start it."""

    version: str
    api: str
    started: bool = False


def ensure(reporter: Reporter) -> DockerEngine:
    """Return the engine that answers, starting or installing it where we may.

    Raises GadError that names what stands in the way: DOCKER_HOST, rights, a package, dockerd's words.
    """
    if engine := ask():
        return engine
    if host := os.environ.get("DOCKER_HOST"):
        raise GadError(
            f"no Docker engine answers at DOCKER_HOST={host}",
            remedy="start that engine, or unset DOCKER_HOST to use the one of this machine",
        )
    if SOCKET.exists() and not os.access(SOCKET, os.R_OK | os.W_OK):
        raise GadError(
            f"this user may not talk to Docker ({SOCKET})",
            remedy='sudo usermod -aG docker "$USER", then log in again',
        )
    if not Path("/proc").is_dir():
        raise GadError(
            "Docker is not running",
            remedy="start Docker, and set DOCKER_HOST where its socket is elsewhere: "
            "docker context inspect --format '{{.Endpoints.docker.Host}}'",
        )
    debian.require(debian.ENGINE, reporter)
    with locked(
        cache_root() / "dockerd.lock", lambda: reporter.note("another `gad setup` is starting Docker")
    ):
        engine = ask() or _start(reporter)  # the package, or the other one, may have started it
    return DockerEngine(engine.version, engine.api, started=True)


def ask(timeout_s: int = 3) -> DockerEngine | None:
    """One question to the engine; None when nobody answers. Raises GadError when it is too old."""
    try:
        with closing(docker.from_env(timeout=timeout_s)) as client:
            said = client.version()
    except (DockerException, OSError):
        return None
    engine = DockerEngine(version=str(said["Version"]), api=str(said["ApiVersion"]))
    if tuple(int(part) for part in engine.api.split(".")) < OLDEST_API:
        raise GadError(
            f"the Docker engine is {engine.version} (API {engine.api}), too old",
            remedy=f"install one with API {OLDEST_API[0]}.{OLDEST_API[1]} or newer (20.10 has it)",
        )
    return engine


def _start(reporter: Reporter) -> DockerEngine:
    """By systemd where there is one, else by hand."""
    systemd = Path("/run/systemd/system").is_dir()
    if os.geteuid() != 0:
        raise GadError(
            "Docker is not running",
            remedy="sudo systemctl start docker" if systemd else "start dockerd as root, or run this as root",
        )
    if systemd:
        done = subprocess.run(["systemctl", "start", "docker"], capture_output=True, text=True, check=False)
        if done.returncode:
            words = (done.stderr.strip() or "no reason given").splitlines()[0]
            raise GadError(
                f"systemd could not start Docker: {words}",
                remedy="journalctl -u docker -n 50",
            )
        return _wait(None, None, reporter)
    if engine := _await_predecessor():
        return engine
    for pid_file, daemon in _PID_FILES.items():
        remove_stale(pid_file, daemon)
    log = cache_root() / "dockerd.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        # A session of its own: neither the end of `make` nor Ctrl-C in its terminal takes the engine down.
        daemon_process = subprocess.Popen(
            # Published ports are the kernel's, as on a hardened server: no process per port copies each byte.
            [debian.find("dockerd") or "dockerd", "--userland-proxy=false"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
        )
    return _wait(daemon_process, log, reporter)


def _await_predecessor() -> DockerEngine | None:
    """A dockerd that is just coming or going holds the pid file and answers nobody: wait for its end."""
    deadline = time.monotonic() + START_S
    while is_running(_DOCKER_PID, "dockerd"):
        if engine := ask():
            return engine
        if time.monotonic() > deadline:
            raise GadError(
                f"dockerd (process {_DOCKER_PID.read_text().strip()}) runs but does not answer",
                remedy="end that process, then run `gad setup` again",
            )
        time.sleep(0.2)
    return None


def _wait(process: subprocess.Popen[bytes] | None, log: Path | None, reporter: Reporter) -> DockerEngine:
    deadline = time.monotonic() + START_S
    where = f", its log is {log}" if log else ""
    reporter.note(f"starting the Docker engine{where}")
    while time.monotonic() < deadline:
        if engine := ask():
            return engine
        if process is not None and process.poll() is not None:
            words = last_words(log.read_text(errors="replace") if log else "")
            raise GadError(f"dockerd ended while starting: {words}", remedy=f"read {log}")
        time.sleep(0.2)
    raise GadError(
        f"the Docker engine does not answer after {START_S:.0f} s",
        remedy=f"read {log}" if log else "journalctl -u docker -n 50",
    )


def is_running(pid_file: Path, daemon: str, proc: Path = Path("/proc")) -> bool:
    """Is the process in `pid_file` alive and really `daemon`? False for a missing or unreadable file."""
    try:
        number = int(pid_file.read_text().strip() or 0)
        return (proc / str(number) / "comm").read_text().strip() == daemon
    except (OSError, ValueError):
        return False


def remove_stale(pid_file: Path, daemon: str, proc: Path = Path("/proc")) -> bool:
    """Remove a pid file whose process is gone or is another program by now; True when removed.

    After a hard stop the number may belong to anybody, and dockerd would refuse to start, or wait for a
    containerd that is none.
    """
    if is_running(pid_file, daemon, proc) or not pid_file.exists():
        return False
    pid_file.unlink(missing_ok=True)
    return True


def last_words(log: str) -> str:
    """The last line of a dockerd log that is more than progress; the last line of all when there is none."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    grave = [line for line in lines if "level=" not in line or "level=fatal" in line or "level=error" in line]
    return (grave or lines or ["no output"])[-1]
