"""How judges run: here, or on a server as its root; what they judge, and the one way in which they fail."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import tarfile
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import GadError
from infra.operate import host
from infra.ssh import SshAccess

# sshd forgets a penalty within some seconds of its length; beyond this it is something else.
PATIENCE_S = 120.0
LOGIN_S = 60


@dataclass(frozen=True)
class Door:
    """Where the stack's proxy answers."""

    site: str
    address: str
    http: int
    https: int
    authority: Path | None  # of a stack whose certificate is its own


@dataclass(frozen=True)
class Server:
    """A server with the account by which it is judged: root, or one that becomes root by sudo."""

    access: SshAccess

    def said(self, script: str, *, limit_s: float) -> str:
        """What a script printed there, run as root. Raises GadError if it failed or did not end."""
        return self._run(script, limit_s, b"")

    def said_in(self, folder: Path, script: str, *, limit_s: float) -> str:
        """The same in a copy of a local folder there, which is removed at the end."""
        if not folder.is_dir():
            raise GadError(f"{folder} is no folder", remedy="name the checkout of the judge")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            archive.add(folder, arcname=".", filter=_of_root)
        unpack = (
            "set -e; folder=$(mktemp -d /var/lib/gad-judge.XXXXXX); trap 'rm -rf \"$folder\"' EXIT;"
            f' cd "$folder"; tar -xz; {script}'
        )
        return self._run(unpack, limit_s, packed.getvalue())

    def await_login(self) -> None:
        """Until a login is let in again. Raises GadError if that does not come."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._run("true", LOGIN_S, b"")
                return
            except GadError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(2)

    def _run(self, script: str, limit_s: float, sent: bytes) -> str:
        become = "sh -c" if self.access.user == "root" else "sudo -n sh -c"
        login = host.fresh_login(self.access, port=self.access.port)
        command = [*login, f"{become} {shlex.quote(script)}"]
        return _finished(command, (0,), limit_s, sent=sent)


def output(
    command: Sequence[str | Path | object],
    *,
    codes: Container[int],
    limit_s: float,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """What a program here printed. Raises GadError if it is not there, or did not end by one of `codes`."""
    return _finished([str(each) for each in command], codes, limit_s, folder=folder, variables=variables)


def refuse(judge: str, fact: str) -> GadError:
    """A judge that said nothing."""
    return GadError(f"{judge}: {fact}", remedy="see docs/runbook/judges.md")


def _finished(
    command: list[str],
    codes: Container[int],
    limit_s: float,
    *,
    sent: bytes = b"",
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            input=sent,
            capture_output=True,
            timeout=limit_s,
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", **(variables or {})},
            check=False,
        )
    except FileNotFoundError:
        raise refuse(name, "it is not installed") from None
    except subprocess.TimeoutExpired:
        raise refuse(name, f"it did not end within {limit_s:g} s") from None
    if done.returncode not in codes:
        last = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-1:]
        raise refuse(name, f"it ended with code {done.returncode}: {' '.join(last) or 'nothing was said'}")
    return done.stdout.decode(errors="replace")


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if ".git" in Path(member.name).parts:
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
