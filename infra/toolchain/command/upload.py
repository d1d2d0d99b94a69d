"""Where a copied text, file or folder lands on a server.

A folder lands *in* an existing one, under its own name (its content lands there directly when the source ends
in a slash); a file in an existing folder too, else at the path itself. Missing parents are made, files are
overwritten, nothing is deleted. Modes are the server's own (0644 and 0755 with the usual umask).
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
from pathlib import Path
from typing import IO

import paramiko

from infra.errors import GadError
from infra.toolchain.plugin import Archive, Asset, Call, Cancelled

# One SFTP write; larger ones are split by the library anyway.
CHUNK = 32768


class Upload:
    """One copy over an open SFTP session. Raises GadError for a target of the wrong kind, else OSError."""

    def __init__(self, sftp: paramiko.SFTPClient, call: Call) -> None:
        self._sftp = sftp
        self._call = call

    def copy(self, source: Asset | Archive, target: str) -> None:
        """Put `source` (a text, or a path on this machine) at `target`."""
        if isinstance(source, Asset) and source.text is not None:
            self._text(source.text, target)
        elif source.path is not None and Path(source.path).is_dir():
            self._folder(source.path, target)
        elif source.path is not None:
            self._file(Path(source.path), target)

    def _text(self, text: str, target: str) -> None:
        if self._is_folder(target):
            raise GadError(
                f"remote path {target} is a directory", remedy="name a file: a text has no name of its own"
            )
        self._make_folders(posixpath.dirname(target))
        self._write(io.BytesIO(text.encode()), target)

    def _file(self, source: Path, target: str) -> None:
        if self._is_folder(target):
            target = posixpath.join(target, source.name)
        else:
            self._make_folders(posixpath.dirname(target))
        with source.open("rb") as content:
            self._write(content, target)

    def _folder(self, source: str, target: str) -> None:
        if not source.endswith("/"):
            target = posixpath.join(target, Path(source).name)
        for here, folders, names in os.walk(source):
            folders.sort()
            relative = Path(here).relative_to(source).as_posix()
            there = target if relative == "." else posixpath.join(target, relative)
            self._make_folders(there)
            for name in sorted(names):
                with (Path(here) / name).open("rb") as content:
                    self._write(content, posixpath.join(there, name))

    def _write(self, content: IO[bytes], target: str) -> None:
        with self._sftp.open(target, "wb") as remote:
            remote.set_pipelined(True)
            while chunk := content.read(CHUNK):
                if self._call.cancelled.is_set():
                    raise Cancelled(f"the copy to {target}")
                remote.write(chunk)

    def _make_folders(self, path: str) -> None:
        if path in ("", "/") or self._is_folder(path):
            return
        if self._mode(path) is not None:
            raise GadError(
                f"remote path {path} exists but is not a directory", remedy="remove it or copy elsewhere"
            )
        self._make_folders(posixpath.dirname(path))
        self._sftp.mkdir(path)

    def _is_folder(self, path: str) -> bool:
        mode = self._mode(path)
        return mode is not None and stat.S_ISDIR(mode)

    def _mode(self, path: str) -> int | None:
        try:
            return self._sftp.stat(path).st_mode or 0
        except FileNotFoundError:
            return None
