"""A server over SSH: one authenticated connection for all that one `gad` command does there."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from functools import cache

from infra.errors import GadError
from infra.ssh import SshAccess
from infra.toolchain.docker.ssh import SshHost

LIMIT_S = 60  # of one command there; each is a few system calls


@cache
def line_to(access: SshAccess) -> SshHost:
    """The connection to this server; made at its first use, closed with the process."""
    return SshHost(access.url, access.options)


def run_script(
    access: SshAccess | None, script: str, *, stdin: str = "", limit_s: int = LIMIT_S
) -> subprocess.CompletedProcess[str]:
    """Run a POSIX script on a server, or on this machine (None), to its end, however it ends.

    Raises subprocess.TimeoutExpired after `limit_s` seconds.
    """
    words = ["/bin/sh", "-c", script] if access is None else line_to(access).running(script)
    return subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, timeout=limit_s)


def refused_by(done: subprocess.CompletedProcess[str], what: str) -> GadError:
    """Why a script of ours ended as it did: its own two lines, or its last one about `what`. Pure."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    fact, remedy = own_words(lines)
    return GadError(
        fact or f"{what}: {lines[-1] if lines else f'ended with {done.returncode}'}",
        remedy=remedy or "look at the machine it runs on",
    )


def own_words(lines: Sequence[str]) -> tuple[str, str]:
    """What failed and the remedy, as programs of ours say both; empty where they do not. Pure."""
    facts = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    remedies = [line.removeprefix("remedy: ") for line in lines if line.startswith("remedy: ")]
    return facts[0] if facts else "", remedies[0] if remedies else ""


def remove_folder(access: SshAccess, path: str) -> None:
    """Remove a folder on the server with all that is in it. Raises GadError."""
    done = run_script(access, f"rm -rf -- {shlex.quote(path)}")
    if done.returncode != 0:
        raise GadError(
            f"{path} on {access.address} cannot be removed: {(done.stderr.strip() or 'no reason given')}",
            remedy=f"remove it there; {access.user} may lack the right to",
        )


def refusal(complaint: str, access: SshAccess) -> GadError:
    """Why the server could not be reached, out of the last words of `ssh`. Pure."""
    where = f"server {access.address} (port {access.port})"
    if "Host key verification failed" in complaint:
        return GadError(
            f"{where} shows another host key than server.host_key",
            remedy="find out who answers there: compare `ssh-keyscan` with the console of the machine, "
            "and correct server.host_key only then",
        )
    if "Permission denied" in complaint:
        offered = access.private_key_file or "the keys of the SSH agent"
        return GadError(
            f"{where} refuses {offered} for account {access.user}: {complaint}",
            remedy="check server.user and server.private_key_file (a key without passphrase, or none and an "
            "agent), and the account's authorized_keys on the server",
        )
    if "not found" in complaint:
        return GadError(
            f"{where} has no Docker client: {complaint}",
            remedy=f"install it there, on the PATH of account {access.user}",
        )
    return GadError(
        f"Docker does not answer on {where}: {complaint or 'no reason given'}",
        remedy=f"sign in as {access.user} and see what `docker version` says there",
    )
