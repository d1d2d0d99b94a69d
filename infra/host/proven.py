"""A change that could lock us out: made only if a fresh login works, and taken back if it does not.

For files that belong together: the new ones are written beside the old ones and checked; a timer is armed
that brings the old ones back; the new ones are put in place; a second login, over a connection of its own,
proves that one can still sign in and become root, and it is this login that disarms the timer. If it fails
the old files return at once; if we are gone by then, the timer brings them back. Its unit is a file, so that
a server that restarts meanwhile has not forgotten it: the time begins again with the start.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Generator, Sequence

from pyinfra import logger
from pyinfra.api.command import FunctionCommand, PyinfraCommand, StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host
from pyinfra.api.operation import operation
from pyinfra.api.state import State
from pyinfra.context import host

from infra.host.file import FileStateFact, Staged

# Specified: five minutes. Longer than all attempts of a login below, and short for whoever is locked out.
ROLLBACK_S = 300
LOGIN_S = 30  # of one login with its command; sshd itself gives a login 30 s
# A daemon that reads itself anew does not listen for some milliseconds, and a busy machine makes them many.
ATTEMPTS, PAUSE_S = 5, 1.0
SERVICE = """\
[Unit]
Description=The old files return: no fresh login proved the new ones

[Service]
Type=oneshot
ExecStart=/bin/sh {script}
"""
TIMER = """\
[Unit]
Description=Bring the old files back unless a fresh login proves the new ones

[Timer]
OnActiveSec={after_s}
AccuracySec=1s
RemainAfterElapse=no

[Install]
WantedBy=timers.target
"""
REFUSED = ("Permission denied", "sudo:")  # an answer; to ask again would only count as guessing


class LoginFailedError(Exception):
    """A fresh login that did not work; its text is what `ssh` said."""


class ArmedFact(FactBase[bool]):
    """Whether the timer of an earlier change still runs: that change was never proven."""

    def command(self, unit: str) -> str:
        """`active` or something else; never a failure."""
        return f"systemctl is-active {shlex.quote(unit)}.timer || true"

    def process(self, output: list[str]) -> bool:
        """Read what the command printed."""
        return output == ["active"]


class HoldsFact(FactBase[bool]):
    """Whether a shell condition is met."""

    def command(self, condition: str) -> str:
        """`yes` or nothing; never a failure."""
        return f"if {condition}; then echo yes; fi"

    @staticmethod
    def default() -> bool:
        """Of a condition that printed nothing."""
        return False

    def process(self, output: list[str]) -> bool:
        """Read what the command printed."""
        return output == ["yes"]


def log_in(login: Sequence[str], *command: str) -> str:
    """Run a command by a fresh login and return what it prints. Raises LoginFailedError."""
    try:
        done = subprocess.run(
            [*login, shlex.join(command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LOGIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LoginFailedError(f"no answer within {LOGIN_S} s") from None
    if done.returncode != 0:
        raise LoginFailedError(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")
    return done.stdout


@operation()
def replace(
    staged: Sequence[Staged],
    *,
    unit: str,
    check: str,
    apply: str,
    login: Sequence[str],
    login_before: Sequence[str] | None = None,
    holds: str = "true",
    touched: Sequence[str] = (),
    undo: str | None = None,
) -> Generator[PyinfraCommand, None, None]:
    """Put files in place and prove by `login` that one can still sign in; else the old ones return.

    `check` is a shell command that judges the candidates; `{0}` is the path of the first one. `apply` makes
    the daemon read what is in place; after a return `undo` does, or `apply` without one. `touched` are files
    that `apply` writes: they return as well. `login_before` proves first that the account can sign in at all,
    for a change that closes another way in. `unit` names the timer. Nothing is done if all files are as they
    shall be, the shell condition `holds` is met, and no earlier change waits for its proof.
    """
    armed = bool(host.get_fact(ArmedFact, unit=unit))
    met = all(file.is_met_by(host.get_fact(FileStateFact, path=file.path)) for file in staged)
    met = met and bool(host.get_fact(HoldsFact, condition=holds))
    paths = [*(file.path for file in staged), *touched]
    if met and not armed:
        return
    if armed and not met:
        yield StringCommand(_give_back(unit))  # what was never proven is nothing to return to
    if login_before is not None:
        yield FunctionCommand(_prove, (login_before, "true"), {})
    if not met:
        for file in staged:
            yield file.write()
        candidates = [shlex.quote(file.candidate) for file in staged]
        checked = check.format(*candidates)
        yield StringCommand(f"{checked} || {{ rm -f {' '.join(candidates)}; exit 1; }}")
        yield StringCommand(arm(paths, unit=unit, undo=undo or apply))
        moves = " && ".join(f"mv -f {shlex.quote(f.candidate)} {shlex.quote(f.path)}" for f in staged)
        yield StringCommand(f"{{ {moves} && {apply}; }} || {{ {_give_back(unit)}; exit 1; }}")
    yield FunctionCommand(_prove_or_give_back, (login, unit, paths), {})


def before(path: str) -> str:
    """Where the present file waits for the proof; a name that ends so is read by no daemon."""
    return f"{path}.before"


def rollback_script(paths: Sequence[str], *, undo: str) -> str:
    """What the timer runs: the old files return, one that was not there goes, and the daemon reads them."""
    steps = []
    for each in paths:
        old, path = shlex.quote(before(each)), shlex.quote(each)
        steps.append(f"if [ -e {old} ]; then mv -f {old} {path}; else rm -f {path}; fi")
    return "; ".join([*steps, undo])


def arm(paths: Sequence[str], *, unit: str, undo: str, after_s: int = ROLLBACK_S) -> str:
    """The shell command that keeps the old files and arms the timer that brings them back after `after_s`."""
    script, service, timer = _files(unit)
    texts = {
        script: f"{rollback_script(paths, undo=undo)}; {_disarm(unit)}\n",
        service: SERVICE.format(script=script),
        timer: TIMER.format(after_s=after_s),
    }
    written = "; ".join(f"printf %s {shlex.quote(text)} >{path}" for path, text in texts.items())
    return (
        f"set -e; {keep(paths)}; {written}; sync; systemctl daemon-reload; "
        f"systemctl enable --quiet {unit}.timer; systemctl restart {unit}.timer"
    )


def keep(paths: Sequence[str]) -> str:
    """The shell command that puts the present files aside."""
    steps = []
    for each in paths:
        old, path = shlex.quote(before(each)), shlex.quote(each)
        steps.append(f"rm -f {old}; [ ! -e {path} ] || cp -a {path} {old}")
    return "; ".join(steps)


def _files(unit: str) -> tuple[str, str, str]:
    """What the timer runs, its service and itself."""
    script, service, timer = (f"/etc/systemd/system/{unit}.{kind}" for kind in ("sh", "service", "timer"))
    return script, service, timer


def _disarm(unit: str) -> str:
    return (
        f"systemctl disable --quiet --now {unit}.timer && rm -f {' '.join(_files(unit))} "
        "&& systemctl daemon-reload"
    )


def _give_back(unit: str) -> str:
    return f"systemctl start {unit}.service"


def _prove(state: State, host: Host, login: Sequence[str], *command: str) -> bool:  # noqa: ARG001
    """Whether a fresh login can do that as root. Only with these two names pyinfra heeds the answer."""
    error = _failing(login, *command)
    if error is not None:
        logger.error(f"no fresh login before the change, nothing is changed: {error}")
    return error is None


def _prove_or_give_back(
    state: State,  # noqa: ARG001
    host: Host,
    login: Sequence[str],
    unit: str,
    paths: Sequence[str],
) -> bool:
    # One command proves all of it: the login, sudo without a password, and that systemd hears us. What was
    # kept goes with the timer, also if nobody is here any more to hear the answer.
    kept = " ".join(shlex.quote(before(path)) for path in paths)
    error = _failing(login, "sh", "-c", f"{_disarm(unit)} && rm -f {kept}")
    if error is not None:
        logger.error(f"no fresh login after the change, the old files return: {error}")
        host.run_shell_command(StringCommand(_give_back(unit)), _sudo=bool(host.data.get("_sudo")))
    return error is None


def _failing(login: Sequence[str], *command: str) -> LoginFailedError | None:
    """Why none of the attempts worked; None if one did."""
    for left in reversed(range(ATTEMPTS)):
        try:
            log_in(login, "sudo", "-n", *command)
        except LoginFailedError as error:
            if not left or any(word in str(error) for word in REFUSED):
                return error
            time.sleep(PAUSE_S)
        else:
            break
    return None
