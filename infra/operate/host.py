"""Hardening a server: one run of pyinfra, and what it changed or would change."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import Exit, GadError
from infra.host.plan import VARIABLE, HostPlan, HostRun, Reach
from infra.operate import host_failure
from infra.ssh import SshAccess

DEPLOY = Path("infra") / "host" / "deploy.py"
INVENTORY = Path("infra") / "host" / "inventory.py"
# A whole first run with its packages takes minutes; beyond this a server or a mirror hangs.
LIMIT_S = 1800
LOGIN_S = 30  # of one login
# A login of its own each time, so that it proves something; and one that does not wait for ever.
FRESH = (*("-o", "ControlMaster=no", "-o", "ControlPath=none"), *("-o", "ConnectTimeout=10", "-T"))
SILENT = ("-o", "LogLevel=ERROR")  # without the banner, which would stand before the reason


class HostResult(BaseModel):
    """What a run did, or with `dry` what it would do. Operations by name, in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dry: bool
    operations: int  # of the whole deploy
    changed: tuple[str, ...]
    # Dry only: they depend on what others change, and cannot be foretold.
    conditional: tuple[str, ...] = ()


class _Planned(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    names: tuple[str, ...]
    hosts_with_change: tuple[str, ...]
    hosts_with_conditional_change: tuple[str, ...]


class _Done(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    names: tuple[str, ...]
    success: tuple[str, ...]  # changed
    no_change: tuple[str, ...]
    error: tuple[str, ...]


class _Results(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    operations: tuple[_Done, ...]


class _Report(BaseModel):
    """What `pyinfra --json` prints; `results` is absent in a dry run."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    plan: tuple[_Planned, ...]
    results: _Results | None


def apply(
    root: Path, access: SshAccess, plan: HostPlan, *, first: SshAccess | None = None, dry: bool = False
) -> HostResult:
    """Bring a server to its plan; with `dry` change nothing and say what differs.

    `access` is how it is reached once it has its plan, as the deploy user. `first` is how a new machine is
    handed over, such as root on port 22; it is used until the deploy user can sign in. Raises GadError that
    names the operation that failed and why, what was changed before it, or why the server cannot be reached.
    """
    _check_access(access, plan, first)
    now = reachable(access, first)
    with tempfile.TemporaryDirectory(prefix="gad-host-") as folder:  # readable by its owner only
        known_hosts = Path(folder) / "known_hosts"
        known_hosts.write_text(known_hosts_line(now), encoding="utf-8")
        reach = Reach(
            address=now.address,
            port=now.port,
            user=now.user,
            private_key_file=now.private_key_file,
            known_hosts_file=str(known_hosts),
            login_now=fresh_login(access, port=now.port, options=SILENT),
            login_planned=fresh_login(access, port=access.port, options=SILENT),
        )
        run = Path(folder) / "run.json"
        run.write_text(HostRun(plan=plan, reach=reach, dry=dry).model_dump_json(), encoding="utf-8")
        done = _pyinfra(root, run, dry=dry)
    if done.returncode != 0:
        raise host_failure.failure(done.stderr, now.address)
    return result(done.stdout, dry=dry)


def known_hosts_line(access: SshAccess) -> str:
    """The server's one key, in the form that a client looks it up by: a port other than 22 is part of it."""
    name = access.address if access.port == 22 else f"[{access.address}]:{access.port}"
    return f"{name} {access.host_key}\n"


def fresh_login(access: SshAccess, *, port: int, options: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The arguments of a login over a connection of its own, before the remote command."""
    return ("ssh", *access.options, *FRESH, *options, "-p", str(port), f"{access.user}@{access.address}")


def result(printed: str, *, dry: bool) -> HostResult:
    """What pyinfra reported. Raises GadError if that is not what it reports today."""
    try:
        report = _Report.model_validate_json(printed)
    except ValidationError as error:
        raise GadError(
            f"pyinfra reports in another form: {error.errors()[0]['msg']}",
            remedy="run `make setup`: requirements/infra.txt pins the version this was written for",
        ) from None
    if dry or report.results is None:
        return HostResult(
            dry=True,
            operations=len(report.plan),
            changed=tuple(_name(each.names) for each in report.plan if each.hosts_with_change),
            conditional=tuple(
                _name(each.names) for each in report.plan if each.hosts_with_conditional_change
            ),
        )
    operations = report.results.operations
    return HostResult(
        dry=False,
        operations=len(operations),
        changed=tuple(_name(each.names) for each in operations if each.success),
    )


def _name(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _pyinfra(root: Path, run: Path, *, dry: bool) -> subprocess.CompletedProcess[str]:
    # Never both: with -y pyinfra does not look for changes.
    mode = "--dry" if dry else "-y"
    try:
        return subprocess.run(
            [sys.executable, "-m", "pyinfra", "--json", mode, str(root / INVENTORY), str(root / DEPLOY)],
            cwd=run.parent,  # where it leaves a log of a bug of its own, and of ours
            env={
                **os.environ,
                **{VARIABLE: str(run), "PYTHONPATH": str(root)},
                **{"PYINFRA_PROGRESS": "off", "PYTHONDONTWRITEBYTECODE": "1"},
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            preexec_fn=_end_with_parent,
        )
    except subprocess.TimeoutExpired:
        raise GadError(
            f"pyinfra did not end within {LIMIT_S} s",
            remedy="see whether the server and its package mirror answer, then run it again",
        ) from None


def _end_with_parent() -> None:
    """In the child: if we are killed it must not go on alone, beside the next run (prctl(2), Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _check_access(access: SshAccess, plan: HostPlan, first: SshAccess | None) -> None:
    if access.user != plan.deploy_user:
        raise _usage(f"{access.user} signs in, but the plan's deploy user is {plan.deploy_user}")
    if not access.host_key.startswith("ssh-ed25519 "):
        raise _usage("the pinned host key is none of Ed25519, and others are replaced or no longer shown")
    if first is not None and (first.address, first.host_key) != (access.address, access.host_key):
        raise _usage(f"{first.address} and {access.address} are not the same server with the same key")
    public = _public_key(access.private_key_file)
    if public is not None and public not in {tuple(key.split()[:2]) for key in plan.deploy_keys}:
        raise _usage(f"{access.private_key_file} is the key of none of the plan's public keys")


def _usage(fact: str) -> GadError:
    return GadError(fact, remedy="correct the server's part of the stack file", exit_code=Exit.USAGE)


def _public_key(private_key_file: str | None) -> tuple[str, ...] | None:
    """Type and key of the public half; None where an agent holds it."""
    if private_key_file is None:
        return None
    done = subprocess.run(
        ["ssh-keygen", "-y", "-P", "", "-f", str(Path(private_key_file).expanduser())],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise _usage(f"{private_key_file} is no private key without passphrase: {done.stderr.strip()}")
    return tuple(done.stdout.split()[:2])


def has_engine(access: SshAccess) -> bool:
    """Whether this account, which is let in, may use a Docker engine there."""
    return _answer(access, "docker version") is None


def reachable(access: SshAccess, first: SshAccess | None) -> SshAccess:
    """The first way in that works: the deploy user on the planned port, then as it is handed over.

    Raises GadError if none does.
    """
    ways = [access]
    if first is not None:
        # A run that was interrupted may have made the account but not moved the port.
        ways += [SshAccess(**{**vars(access), "port": first.port}), first]
    said = []
    for way in dict.fromkeys(ways):
        # Root, or who can become it.
        answer = _answer(way, "true" if way.user == "root" else "sudo -n true")
        if answer is None:
            return way
        said.append((way, answer))
        if host_failure.is_another_host(answer):
            break
    raise host_failure.refused(said)


def _answer(way: SshAccess, command: str) -> str | None:
    """Why this account cannot do that there; None if it can."""
    try:
        done = subprocess.run(
            [*fresh_login(way, port=way.port, options=SILENT), command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LOGIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {LOGIN_S} s"
    return None if done.returncode == 0 else (done.stderr.strip() or "no reason given")
