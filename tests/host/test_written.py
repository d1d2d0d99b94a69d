"""Files that an update wrote on the host, compared with what it wrote; secrets are not read here."""

from __future__ import annotations

import base64
import io
import re
import shlex
import tarfile
from hashlib import sha256

from stack import Stack

SUBJECT = "written files"
COMMAND = re.compile(r"command:(local|remote):Command")
TARGET = re.compile(r"^if \[ -d (?P<path>\S+) \]; then cp", re.MULTILINE)


def written(stack: Stack) -> dict[str, str]:
    """Path → hash of each file whose content stands in the state in clear."""
    found = {}
    for each in stack.resources:
        stdin, create = (each.get("inputs", {}).get(key) for key in ("stdin", "create"))
        is_text = isinstance(stdin, str) and isinstance(create, str)
        match = TARGET.search(create) if is_text and COMMAND.fullmatch(each["type"]) else None
        if match is None:
            continue
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(stdin))) as archive:
            for member in archive.getmembers():
                content = archive.extractfile(member)
                folder = shlex.split(match["path"])[0]
                found[f"{folder}/{member.name}"] = sha256(content.read() if content else b"").hexdigest()
    return found


def test_files_are_as_the_update_wrote_them(stack: Stack) -> None:
    """The files of the proxy, PostgreSQL and Redis on the host are as the last update wrote them.

    Remedy: `gad drift --fix` writes them again; restart the container that has read the wrong one.
    """
    expected = written(stack)
    command = f"sha256sum -- {shlex.join(expected)}"
    lines = [line for each in stack.hosts.values() for line in each.run(command).stdout.splitlines()]
    found = {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
    assert len(expected) >= 3
    assert [path for path, digest in sorted(expected.items()) if found.get(path) != digest] == []
