"""The state's lock: who holds it, and whether that process still lives."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import Exit, GadError
from infra.names import PROJECT

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Lock(BaseModel):
    """What the engine writes into a lock file of a backend of one's own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int
    username: str
    hostname: str
    timestamp: datetime


def lock_folder(state: Path, stack: str) -> Path:
    """Where a file backend keeps the locks of a stack."""
    return state / ".pulumi" / "locks" / "organization" / PROJECT / stack


def release_dead(state: Path, stack: str) -> tuple[Lock, ...]:
    """Remove the locks of processes on this machine that are gone; return them.

    Raises GadError (refused) if a living process, or another machine, holds one: it says who and
    since when. `pulumi cancel` would delete all locks, also a living one's.
    """
    removed = []
    for file in sorted(lock_folder(state, stack).glob("*.json")):
        try:
            lock = Lock.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            continue  # its owner has just finished
        except ValidationError:
            raise GadError(
                f"the lock {file.name} of stack {stack} is not readable",
                remedy="make sure that nobody is updating the stack, then delete that file",
                exit_code=Exit.REFUSED,
            ) from None
        if lock.hostname != socket.gethostname() or _lives(lock):
            raise _held(stack, lock)
        file.unlink(missing_ok=True)
        file.with_name(f"{file.name}.attrs").unlink(missing_ok=True)
        removed.append(lock)
    return tuple(removed)


def _held(stack: str, lock: Lock) -> GadError:
    since = lock.timestamp.astimezone(UTC)
    age_s = int((datetime.now(UTC) - since).total_seconds())
    here = lock.hostname == socket.gethostname()
    return GadError(
        f"stack {stack} is being updated by {lock.username} on {lock.hostname} (pid {lock.pid}) "
        f"since {since:%Y-%m-%d %H:%M:%S} UTC, {age_s} s ago",
        remedy="wait until that update ends"
        if here
        else f"ask {lock.username}, or look at pid {lock.pid} on {lock.hostname}, before `pulumi cancel`",
        exit_code=Exit.REFUSED,
    )


def _lives(lock: Lock) -> bool:
    """Whether the process that wrote the lock still runs; a later process with its pid is another."""
    try:
        os.kill(lock.pid, 0)  # asks only; where /proc hides other accounts' processes, this still tells
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # Field 22 of /proc/PID/stat: start time after boot, in clock ticks (proc_pid_stat(5)).
        stat = Path(f"/proc/{lock.pid}/stat").read_text(encoding="utf-8")
        uptime_s = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return False
    fields = stat.rsplit(")", 1)[1].split()
    if fields[0] == "Z":
        return False
    age_s = uptime_s - int(fields[19]) / CLOCK_TICKS
    locked_s = (datetime.now(UTC) - lock.timestamp.astimezone(UTC)).total_seconds()
    return age_s + 1.0 >= locked_s  # it was there when the lock was taken, give or take rounding
