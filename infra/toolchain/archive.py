"""Pulumi's own release archive, trusted only by its pinned SHA-256."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

import httpx

from infra.errors import Exit, GadError
from infra.toolchain.cache import locked
from infra.toolchain.engine import CachedEngine
from infra.toolchain.progress import Reporter
from infra.toolchain.release import DownloadRefusedError

# Chosen: a network that drops packets instead of refusing them costs this once per `gad setup`.
CONNECT_S = 4.0
_CHUNK = 1 << 20


def refusal(url: str) -> str | None:
    """Why `url` cannot be downloaded, as one phrase; None when it can. Honours the proxy variables."""
    host = httpx.URL(url).host
    try:
        answer = httpx.head(url, timeout=CONNECT_S, follow_redirects=True)
    except httpx.HTTPError as error:
        return f"{host} cannot be reached from here ({_phrase(error)})"
    return f"{host} answers {answer.status_code}" if answer.is_error else None


def fetch(url: str, sha256: str, target: CachedEngine, reporter: Reporter) -> Path:
    """Download, check, unpack into the cache; returns the executable.

    Raises DownloadRefusedError when the network fails, GadError when the archive is not the pinned one.
    """
    waiting = "another `gad setup` is downloading the engine; waiting for it"
    with locked(target.lock, lambda: reporter.note(waiting)):
        if target.is_intact():
            return target.executable
        with tempfile.TemporaryDirectory(dir=target.directory.parent, prefix=".download-") as scratch:
            archive = Path(scratch) / "pulumi.tar.gz"
            _download(url, archive, sha256, reporter)
            unpacked = Path(scratch) / "unpacked"
            unpacked.mkdir()
            _unpack(archive, unpacked)
            target.adopt(unpacked)
    return target.executable


def _download(url: str, archive: Path, sha256: str, reporter: Reporter) -> None:
    digest = hashlib.sha256()
    try:
        with (
            httpx.stream(
                "GET", url, timeout=httpx.Timeout(60, connect=CONNECT_S), follow_redirects=True
            ) as answer,
            archive.open("wb") as file,
        ):
            answer.raise_for_status()
            size = int(answer.headers.get("content-length", 0))
            with reporter.steps(f"downloading {url}", -(-size // _CHUNK) or None) as advance:
                for chunk in answer.iter_bytes(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                    advance("MiB")
    except httpx.HTTPError as error:
        raise DownloadRefusedError(f"{httpx.URL(url).host} did not deliver ({_phrase(error)})") from error
    if digest.hexdigest() != sha256:
        raise GadError(
            f"{url} has SHA-256 {digest.hexdigest()}, pinned is {sha256}",
            remedy="compare with Pulumi's published sums and correct config/engine/release.json; "
            "or set GAD_TOOLCHAIN=offline, which builds the engine from its Go module",
            exit_code=Exit.REFUSED,
        )


def _unpack(archive: Path, into: Path) -> None:
    """Only the executables, by base name: nothing in the archive chooses where it lands."""
    with tarfile.open(archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            content = tar.extractfile(member) if member.isfile() and name.startswith("pulumi") else None
            if content is not None:
                with (into / name).open("wb") as file:
                    shutil.copyfileobj(content, file)
                (into / name).chmod(0o755)


def _phrase(error: httpx.HTTPError) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
