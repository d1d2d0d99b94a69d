"""A whole file on the server: there as it shall be, or as it was; never half of it."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A file as it shall be."""

    path: str
    text: str
    mode: str = "644"  # octal
    owner: str = "root:root"

    @property
    def candidate(self) -> str:
        """Where it is written first; a name that ends so is read by no daemon."""
        return f"{self.path}.candidate"

    @property
    def digest(self) -> str:
        """SHA-256 of its content."""
        return sha256(self.text.encode()).hexdigest()

    def is_met_by(self, state: FileState | None) -> bool:
        """Whether the file there is this one."""
        return state == FileState(self.mode, self.owner, self.digest)

    def write(self) -> StringCommand:
        """Write the candidate: whole, or not at all if the disk is full or the connection ends meanwhile."""
        new = shlex.quote(self.candidate)
        folder = shlex.quote(str(PurePosixPath(self.path).parent))
        # By `head`, because pyinfra ends what it sends with a newline.
        return StringCommand(
            f"{{ [ -d {folder} ] || mkdir -p -m 755 {folder}; }} && (umask 077; "
            f"head -c {len(self.text.encode())} >{new}) && "
            f"echo {self.digest}'  '{new} | sha256sum -c --status && "
            f"chown {self.owner} {new} && chmod {self.mode} {new} || {{ rm -f {new}; exit 1; }}",
            _stdin=self.text,
        )


@dataclass(frozen=True)
class FileState:
    """What a file on the server is."""

    mode: str
    owner: str
    sha256: str


class FileStateFact(FactBase[FileState | None]):
    """Mode, owner and hash of a file; None if there is none, or something else of that name."""

    def command(self, path: str) -> str:
        """Two words of `stat`, then the hash."""
        quoted = shlex.quote(path)
        there = f"[ -f {quoted} ] && [ ! -L {quoted} ]"
        return f"if {there}; then stat -c '%a %U:%G' {quoted} && sha256sum <{quoted}; fi"

    def process(self, output: list[str]) -> FileState | None:
        """Read what the command printed."""
        mode, owner, digest, *_ = " ".join(output).split()
        return FileState(mode, owner, digest)


@operation()
def whole(path: str, text: str, mode: str = "644") -> Generator[StringCommand, None, None]:
    """A whole file of root's, with the folder it lies in."""
    file = Staged(path=path, text=text, mode=mode)
    if file.is_met_by(host.get_fact(FileStateFact, path=path)):
        return
    yield file.write()
    yield StringCommand(f"mv -fT {shlex.quote(file.candidate)} {shlex.quote(path)}")
