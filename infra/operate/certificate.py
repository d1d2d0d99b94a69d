"""The root certificate of Caddy's internal CA, so that people and tests can check the chain."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import docker
from docker.errors import NotFound

from infra.errors import GadError

IN_CONTAINER = "/data/caddy/pki/authorities/local/root.crt"
PATIENCE_S = 15.0  # Caddy makes its authority at its first start


def authority_file(root: Path, stack: str) -> Path:
    """Where the certificate of the stack's authority is kept in this checkout."""
    return root / ".gad" / stack / "ca.crt"


def save_authority(root: Path, stack: str, client: docker.DockerClient, proxy: str) -> Path:
    """Copy the root certificate out of the proxy. Raises GadError if it has none."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            chunks, _ = client.api.get_archive(proxy, IN_CONTAINER)
            break
        except NotFound as error:
            if time.monotonic() > deadline:
                raise GadError(
                    f"{proxy} has no certificate authority", remedy=f"look at `docker logs {proxy}`"
                ) from error
            time.sleep(0.25)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        member = tar.extractfile(tar.getmembers()[0])
        content = member.read() if member is not None else b""
    target = authority_file(root, stack)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_suffix(".new")
    staged.write_bytes(content)
    staged.replace(target)
    return target
