"""The files a container gets before it starts, as one archive. Pure but for `source`, which is read."""

from __future__ import annotations

import base64
import binascii
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from infra.errors import GadError
from infra.toolchain.plugin import Properties

from .typed import flag, text

# The modes of the official plugin for a file and for an executable one.
FILE_MODE = 0o644
EXECUTABLE_MODE = 0o744


def upload_archive(uploads: Sequence[Properties]) -> bytes:
    """A tar of the uploads, owned by root. Raises GadError naming the file that cannot be made."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for upload in uploads:
            content = _content(upload)
            member = tarfile.TarInfo(text(upload, "file").lstrip("/"))
            member.size = len(content)
            member.mode = _mode(upload)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _content(upload: Properties) -> bytes:
    file = text(upload, "file")
    given = [key for key in ("content", "contentBase64", "source") if text(upload, key)]
    if len(given) > 1:
        raise GadError(f"the upload {file} has {' and '.join(given)}", remedy="give one of them")
    if encoded := text(upload, "contentBase64"):
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise GadError(
                f"contentBase64 of the upload {file} is not base64", remedy="encode the content"
            ) from error
    if source := text(upload, "source"):
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise GadError(
                f"the source {source} of the upload {file} cannot be read: {error.strerror}",
                remedy="correct uploads[].source",
            ) from error
    return text(upload, "content").encode()


def _mode(upload: Properties) -> int:
    if permissions := text(upload, "permissions"):
        try:
            return int(permissions, 8)
        except ValueError as error:
            raise GadError(
                f"permissions of the upload {text(upload, 'file')} are {permissions!r}",
                remedy='write them in octal, like "0640"',
            ) from error
    return EXECUTABLE_MODE if flag(upload, "executable") else FILE_MODE
